"""`tokensrv gate ssh-keys`, as sshd calls it, and what ssh-keygen makes of the lines."""

from __future__ import annotations

import shlex
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Commands
from tests.factories import make_user
from tests.ssh_keys import make_ssh_key, new_line
from tokensrv.clock import today
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.services.directory import user_states
from tokensrv.services.keys.ssh_keys import KeyRecord
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE


@pytest.fixture
def alice(store: Store) -> UserRecord:
    return make_user(store)


@pytest.fixture
def key(store: Store, alice: UserRecord) -> KeyRecord:
    return make_ssh_key(store, alice)


def test_a_line_forces_the_one_command_and_allows_nothing_else(
    commands: Commands, settings: Settings, key: KeyRecord
) -> None:
    [line] = commands.text("gate", "ssh-keys", "ALICE").splitlines()
    options, _, found = line.partition(" ssh-ed25519 ")
    assert f"ssh-ed25519 {found}" == key.key
    restricted, _, command = options.partition(",command=")
    assert restricted == "restrict"
    assert shlex.split(command.strip('"')) == [
        "env",
        f"TOKENSRV_INSTANCE={settings.instance}",
        str(Path(sys.argv[0]).absolute()),
        "gate",
        "ssh-serve",
        "--key",
        str(key.id),
        "--root",
        "/srv/git",
    ]


@pytest.mark.usefixtures("key")
def test_a_strange_root_stays_one_word_within_the_quotes(commands: Commands) -> None:
    for root in ("/srv/my git", '/srv/"quoted"', "/srv/it's", "/srv/$HOME;ls"):
        [line] = commands.text("gate", "ssh-keys", "alice", "--root", root).splitlines()
        # As sshd reads it: up to the first quote without a backslash.
        quoted = line.partition('command="')[2].partition('" ssh-ed25519')[0]
        assert '"' not in quoted.replace('\\"', "")
        assert shlex.split(quoted.replace('\\"', '"'))[-1] == root


@pytest.mark.usefixtures("key")
def test_a_root_is_meant_from_here_wherever_sshd_runs_the_command(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = commands.text("gate", "ssh-keys", "alice", "--root", "srv")
    assert f' --root {tmp_path / "srv"}" ssh-ed25519 ' in line


@pytest.mark.usefixtures("key")
def test_openssh_reads_the_lines(commands: Commands, key: KeyRecord, tmp_path: Path) -> None:
    authorized_keys = tmp_path / "authorized_keys"
    authorized_keys.write_text(commands.text("gate", "ssh-keys", "alice", "--root", '/a "b'))
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", authorized_keys], capture_output=True, text=True, check=True
    )
    assert key.fingerprint in shown.stdout


def test_a_fingerprint_finds_the_one_key(
    commands: Commands, store: Store, alice: UserRecord, key: KeyRecord
) -> None:
    other = make_ssh_key(store, alice, new_line())
    named = ("gate", "ssh-keys", "alice", "--fingerprint", key.fingerprint)
    shared = ("gate", "ssh-keys", "--fingerprint", other.fingerprint)
    assert len(commands.text("gate", "ssh-keys", "alice").splitlines()) == 2
    assert commands.text(*named).rstrip().endswith(key.key)
    assert commands.text(*shared).rstrip().endswith(other.key)


@pytest.mark.usefixtures("key")
def test_whoever_has_no_key_has_no_line(
    commands: Commands, store: Store, alice: UserRecord
) -> None:
    make_user(store, "bob")
    # An account of the machine that is called like an id is not that user's.
    for named in ("nobody", "bob", str(alice.id)):
        assert commands.text("gate", "ssh-keys", named) == ""


@pytest.mark.usefixtures("key")
def test_a_fingerprint_that_nobody_has_has_no_line(commands: Commands) -> None:
    for fingerprint in ("", "SHA256:", "SHA256:" + "A" * 43, "MD5:00"):
        assert commands.text("gate", "ssh-keys", "--fingerprint", fingerprint) == ""
        assert commands.text("gate", "ssh-keys", "alice", "--fingerprint", fingerprint) == ""
    assert refusals(commands) == []


@pytest.mark.usefixtures("key")
def test_a_blocked_user_has_no_line(commands: Commands, store: Store, alice: UserRecord) -> None:
    user_states.block(store, COMMAND_LINE, alice.id)
    assert commands.text("gate", "ssh-keys", "alice") == ""
    assert refusals(commands) == []


@pytest.mark.parametrize("check", ["owner", "expired"])
def test_a_known_key_that_opens_nothing_is_a_refusal(
    commands: Commands, store: Store, alice: UserRecord, check: str
) -> None:
    # The day after that of the tests' clock is long over for the commands.
    ends = today(store.clock) + timedelta(days=1) if check == "expired" else None
    key = make_ssh_key(store, alice, expires_on=ends)
    if check == "owner":
        user_states.block(store, COMMAND_LINE, alice.id)
    make_user(store, "bob")
    offered = ("gate", "ssh-keys", "--fingerprint", key.fingerprint)
    assert commands.text(*offered, "bob") == ""
    assert refusals(commands) == []
    assert commands.text(*offered) == commands.text(*offered, "alice") == ""
    [event, _] = refusals(commands)
    assert (event["gate"], event["check"], event["actor"]) == ("ssh", check, "alice")
    assert (event["method"], event["path"]) == ("login", key.fingerprint)


def refusals(commands: Commands) -> list[dict[str, Any]]:
    listed = commands.json("audit", "list", "--action", "gate.refused")
    return [event | event["data"] for event in listed]


def test_somebody_must_be_named(commands: Commands) -> None:
    assert commands.run("gate", "ssh-keys").exit_code == 2
