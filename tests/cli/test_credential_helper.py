"""`git-credential-tokensrv`: what it keeps, to whom it gives it, and Git itself using it."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.live.servers import SCRIPTS, wait_for
from tokensrv.cli.credential_helper import main
from tokensrv.domain.secret import Kind, mint

# It has nothing to do with a database.
pytestmark = pytest.mark.sqlite

HOST = "git.example.com"
ADDRESS = f"https://{HOST}"
SECRET = mint("ts", Kind.PERSONAL)
OTHER = mint("ts", Kind.PERSONAL)
# Where Linux tells who waits for a lock.
LOCKS = Path("/proc/locks")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return tmp_path


@pytest.fixture
def path(home: Path) -> Path:
    return home / ".config" / "tokensrv" / "credentials.json"


@pytest.fixture
def helper(home: Path) -> Callable[..., Result]:
    """Call the helper as Git does."""

    def call(operation: str, *options: str, **attributes: str) -> Result:
        written = {"protocol": "https", "host": HOST} | attributes
        lines = "".join(f"{key}={value}\n" for key, value in written.items())
        return CliRunner().invoke(main, [*options, operation], f"{lines}\n")

    return call


Helper = Callable[..., Result]


def given(helper: Helper, *options: str, **attributes: str) -> str:
    """Return what the helper gives to Git, which it says nothing else to."""
    done = helper("get", *options, **attributes)
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    return done.stdout


def kept(path: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(path.read_text())
    return found


def test_a_token_is_kept_for_its_host_and_for_its_user_alone(helper: Helper, path: Path) -> None:
    assert given(helper) == ""
    assert helper("store", username="alice", password=SECRET).output == ""
    assert given(helper) == f"username=alice\npassword={SECRET}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "attributes",
    [
        {"host": "example.com"},
        {"host": "evil.git.example.com"},
        {"host": f"{HOST}.evil.example"},
        {"host": f"{HOST}:8443"},
        {"host": ""},
        {"protocol": "ssh"},
        {"username": "bob"},
    ],
)
def test_nobody_else_is_given_it(helper: Helper, attributes: dict[str, str]) -> None:
    helper("store", username="alice", password=SECRET)
    assert given(helper, **attributes) == ""


@pytest.mark.parametrize("attribute", [f"host={HOST}", "protocol=https", "username=alice"])
def test_who_smuggles_a_line_in_is_given_nothing(helper: Helper, attribute: str) -> None:
    helper("store", username="alice", password=SECRET)
    assert given(helper, path=f"a\n{attribute}", username="alice") == ""


def test_lists_of_newer_versions_of_git_are_no_obstacle(helper: Helper) -> None:
    helper("store", username="alice", password=SECRET)
    lists = {"capability[]": "authtype\ncapability[]=state", "wwwauth[]": "Basic\nwwwauth[]=Bearer"}
    assert SECRET in given(helper, **lists)


def test_the_name_of_a_host_has_no_case(helper: Helper) -> None:
    helper("store", username="alice", password=SECRET, host="Git.Example.COM")
    assert SECRET in given(helper)


@pytest.mark.parametrize("host", [HOST, "192.0.2.1", "localhost.example.com", "[::1"])
def test_no_token_goes_to_another_machine_in_the_clear(
    helper: Helper, path: Path, host: str
) -> None:
    done = helper("store", username="alice", password=SECRET, protocol="http", host=host)
    assert done.stderr == f"No token goes to {host} in the clear; use https, or --allow-http.\n"
    assert not path.exists()
    helper("store", "--allow-http", username="a", password=SECRET, protocol="http", host=host)
    assert helper("get", protocol="http", host=host).stdout == ""
    assert SECRET in given(helper, "--allow-http", protocol="http", host=host)
    # It was stored for what anybody on the way could read, not for this.
    assert given(helper, host=host) == ""


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:80", "[::1]:8080"])
def test_this_machine_needs_no_encryption(helper: Helper, host: str) -> None:
    helper("store", username="alice", password=SECRET, protocol="http", host=host)
    assert SECRET in given(helper, protocol="http", host=host)


@pytest.mark.parametrize(
    "password",
    ["", "correct horse battery staple", SECRET[:-1], mint("ts", Kind.CLIENT)],
    ids=["nothing", "a password", "a cut token", "a client's secret"],
)
def test_only_tokens_are_kept(helper: Helper, path: Path, password: str) -> None:
    assert helper("store", username="alice", password=password).output == ""
    assert not path.exists()


def test_a_token_of_nobody_is_not_kept(helper: Helper, path: Path) -> None:
    assert helper("store", username="", password=SECRET).output == ""
    assert helper("store", password=SECRET).output == ""
    assert not path.exists()


def test_the_latest_counts_where_git_does_not_say_whose(helper: Helper) -> None:
    for username, secret in (("alice", SECRET), ("ci", OTHER), ("alice", SECRET)):
        helper("store", username=username, password=secret)
    assert given(helper) == f"username=alice\npassword={SECRET}\n"
    assert given(helper, username="ci") == f"username=ci\npassword={OTHER}\n"


def test_what_was_refused_is_forgotten_and_nothing_else(helper: Helper, path: Path) -> None:
    assert helper("erase", username="alice").output == ""
    assert not path.exists()
    helper("store", username="alice", password=SECRET)
    helper("store", username="ci", password=OTHER)
    # Refused was what somebody typed, or had before.
    helper("erase", username="alice", password=OTHER)
    helper("erase", username="alice", password=SECRET, host="example.com")
    assert kept(path) == {ADDRESS: {"alice": SECRET, "ci": OTHER}}
    helper("erase", username="alice", password=SECRET)
    assert kept(path) == {ADDRESS: {"ci": OTHER}}
    helper("erase")
    assert kept(path) == {}


def test_a_file_of_ones_own_is_read(helper: Helper, home: Path) -> None:
    own = home / "git.json"
    own.write_text(json.dumps({ADDRESS: {"ci": SECRET}}))
    own.chmod(0o600)
    assert given(helper, "--file", str(own)) == f"username=ci\npassword={SECRET}\n"
    assert given(helper) == ""


def test_a_file_that_others_may_read_is_not_used(helper: Helper, path: Path) -> None:
    helper("store", username="alice", password=SECRET)
    path.chmod(0o640)
    for operation in ("get", "store", "erase"):
        done = helper(operation, username="bob", password=OTHER)
        assert (done.exit_code, done.stdout) == (1, "")
        assert "others can read it, chmod 600 it" in done.stderr
    assert kept(path) == {ADDRESS: {"alice": SECRET}}


@pytest.mark.parametrize(
    "content",
    [f'{{"{SECRET}', f'["{SECRET}"]', f'{{"x": "{SECRET}"}}', ""],
    ids=["no JSON", "a list", "no accounts", "nothing"],
)
def test_a_damaged_file_is_neither_shown_nor_overwritten(
    helper: Helper, path: Path, content: str
) -> None:
    helper("store", username="alice", password=OTHER)
    path.write_text(content)
    for operation in ("get", "store", "erase"):
        done = helper(operation, username="alice", password=OTHER)
        assert done.exit_code == 1
        assert str(path) in done.stderr
        assert SECRET not in done.output
    assert path.read_text() == content


def test_what_it_does_not_know_is_left_to_others(helper: Helper, path: Path) -> None:
    done = helper("capability", username="alice", password=SECRET)
    assert (done.exit_code, done.output) == (0, "")
    assert not path.exists()


def test_a_file_of_a_folder_that_cannot_be_written_fails_and_keeps_what_was(
    helper: Helper, path: Path
) -> None:
    helper("store", username="alice", password=SECRET)
    # Somebody who left in the middle of writing is no obstacle, a folder in its place is one.
    new = path.with_name("credentials.json.new")
    new.write_text("half")
    helper("store", username="ci", password=OTHER)
    assert kept(path) == {ADDRESS: {"alice": SECRET, "ci": OTHER}}
    new.mkdir()
    assert helper("store", username="x", password=OTHER).exit_code == 1
    assert kept(path) == {ADDRESS: {"alice": SECRET, "ci": OTHER}}


def test_nothing_is_lost_when_two_store_at_once(helper: Helper, home: Path, path: Path) -> None:
    helper("store", username="alice", password=SECRET)
    folder = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with subprocess.Popen(
        [SCRIPTS / "git-credential-tokensrv", "store"],
        stdin=subprocess.PIPE,
        env={"HOME": str(home)},
    ) as process:
        lines = ("protocol=https", f"host={HOST}", "username=ci", f"password={OTHER}")
        process.stdin.write("\n".join(lines).encode())
        process.stdin.close()
        wait_for(lambda: f"-> FLOCK  ADVISORY  WRITE {process.pid} " in LOCKS.read_text(), "it")
        path.write_text(json.dumps({ADDRESS: {"meanwhile": SECRET}}))
        os.close(folder)
        assert process.wait(30) == 0
    assert kept(path) == {ADDRESS: {"meanwhile": SECRET, "ci": OTHER}}


def test_git_asks_it_for_the_host_that_it_was_configured_for(home: Path, path: Path) -> None:
    def git(*command: str, text: str = "") -> str:
        return subprocess.run(
            ["git", *command],
            input=text,
            env={
                "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
                "HOME": str(home),
                "GIT_TERMINAL_PROMPT": "0",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
        ).stdout

    git("config", "--global", f"credential.{ADDRESS}.helper", "tokensrv")
    url = f"protocol=https\nhost={HOST}\n"
    mine = f"{url}username=alice\npassword={SECRET}\n"
    git("credential", "approve", text=mine.replace(HOST, "other.example.com"))
    assert not path.exists()
    git("credential", "approve", text=mine)
    assert git("credential", "fill", text=url) == mine
    git("credential", "reject", text=mine)
    assert git("credential", "fill", text=url) == ""


def test_it_starts_without_what_a_server_needs() -> None:
    code = "import sys, tokensrv.cli.credential_helper; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint({"flask", "sqlalchemy", "werkzeug", "cryptography", "marshmallow"})
