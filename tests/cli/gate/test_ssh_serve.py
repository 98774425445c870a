"""`tokensrv gate ssh-serve`: what becomes of the commands of whoever is in."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.cli.conftest import Commands
from tests.conftest import ManualClock
from tests.factories import caller_of, make_admin, make_exchanged, make_token, make_user
from tests.ssh_keys import make_ssh_key
from tokensrv.cli import main
from tokensrv.cli.gate import connection
from tokensrv.clock import SystemClock, today, utcnow
from tokensrv.db import Store
from tokensrv.services import repositories
from tokensrv.services.directory import user_states
from tokensrv.services.gates.ssh import logins
from tokensrv.services.keys import ssh_keys
from tokensrv.services.keys.ssh_keys import KeyRecord
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import NewToken, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

HERE = "192.0.2.7"
CONNECTION = b"c" * 32
FETCH, PUSH = "git-upload-pack 'team/app.git'", "git-receive-pack 'team/app.git'"
NOT_FOUND = (
    "The project you were looking for could not be found or you don't have permission to view it.\n"
)


@dataclass
class Sshd:
    """sshd, as it runs the forced command for one connection."""

    runner: CliRunner
    root: Path
    # What took the process over, with which environment.
    programs: list[tuple[tuple[str, ...], dict[str, str]]] = field(default_factory=list)

    def run(self, command: str, *, key: KeyRecord | None = None, **variables: str) -> Result:
        """Return how the command ended; nothing but its exit code may end it."""
        arguments = ["gate", "ssh-serve", "--root", str(self.root)]
        arguments += [] if key is None else ["--key", str(key.id)]
        told = {"SSH_ORIGINAL_COMMAND": command, "SSH_CONNECTION": f"{HERE} 50000 192.0.2.1 22"}
        done = self.runner.invoke(main, arguments, env={**told, **variables})
        assert isinstance(done.exception, SystemExit | None), done.exception
        return done

    def refusal(self, command: str, *, key: KeyRecord | None = None) -> str:
        """Return what is told to whoever is refused; nothing else has happened then."""
        done = self.run(command, key=key)
        assert (done.exit_code, done.stdout, self.programs) == (1, "", [])
        return done.stderr

    def started(self, command: str, *, key: KeyRecord | None = None, **variables: str) -> Any:
        """Return the program that took over, and its environment."""
        done = self.run(command, key=key, **variables)
        assert (done.exit_code, done.output) == (0, "")
        return self.programs.pop()


@pytest.fixture
def sshd(runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sshd:
    app = tmp_path / "repositories" / "team" / "app.git"
    app.mkdir(parents=True)
    (app / "HEAD").touch()
    found = Sshd(runner, tmp_path / "repositories")

    def take_over(_file: str, arguments: tuple[str, ...], environment: Mapping[str, str]) -> None:
        found.programs.append((arguments, dict(environment)))

    monkeypatch.setattr(os, "execvpe", take_over)
    monkeypatch.setattr(connection, "of", lambda _pid: CONNECTION)
    return found


@pytest.fixture
def alice(store: Store) -> UserRecord:
    return make_user(store)


@pytest.fixture
def key(store: Store, alice: UserRecord) -> KeyRecord:
    return make_ssh_key(store, alice)


@pytest.fixture
def log_in(store: Store, clock: ManualClock) -> Callable[[NewToken], NewToken]:
    """Let the connection begin with a token, at the time of the commands."""

    def begin(new: NewToken) -> NewToken:
        clock.set(utcnow(SystemClock()))
        logins.remember(store, CONNECTION, new.record.id)
        return new

    return begin


LogIn = Callable[[NewToken], NewToken]


def refusals(commands: Commands) -> list[dict[str, Any]]:
    listed = commands.json("audit", "list", "--action", "gate.refused")
    return [event | event["data"] for event in listed]


def printed_token(done: Result) -> dict[str, str]:
    """Return what GitLab's three lines say."""
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line[:9] for line in lines] == ["Token:   ", "Scopes:  ", "Expires: "]
    return {line[:9].strip(": ").lower(): line[9:] for line in lines}


def in_days(days: int) -> str:
    return (today(SystemClock()) + timedelta(days=days)).isoformat()


def test_git_takes_over_with_the_folder_and_an_environment_of_its_own(
    sshd: Sshd, store: Store, alice: UserRecord, log_in: LogIn
) -> None:
    token = log_in(make_token(store, alice, ("read_repository", "read_user")))
    # What a client may have sent, and what is tokensrv's alone.
    sent = {"GIT_CONFIG_COUNT": "1", "GIT_DIR": "/", "LD_PRELOAD": "x", "GIT_PROTOCOL": "version=2"}
    arguments, environment = sshd.started(FETCH, **sent)
    assert arguments == ("git", "upload-pack", str(sshd.root / "team" / "app.git"))
    found = {name: environment.pop(name) for name in sorted(environment) if "AUTH" in name}
    assert found == {
        "X_AUTH_SCOPES": "read_repository read_user",
        "X_AUTH_TOKEN_ID": str(token.record.id),
        "X_AUTH_USER": "alice",
        "X_AUTH_USER_ID": str(alice.id),
    }
    assert set(environment) <= {
        "PATH",
        "HOME",
        "LANG",
        "GIT_PROTOCOL",
        "SSH_CONNECTION",
        "REMOTE_USER",
    }
    assert (environment["REMOTE_USER"], environment["GIT_PROTOCOL"]) == ("alice", "version=2")


@pytest.mark.parametrize(
    ("scope", "fetches", "pushes"),
    [
        ("api", True, True),
        ("write_repository", True, True),
        ("read_repository", True, False),
        ("read_api", True, False),
        ("read_user", False, False),
    ],
)
def test_scopes_decide_what_is_a_fetch_and_what_a_push(
    sshd: Sshd,
    store: Store,
    alice: UserRecord,
    log_in: LogIn,
    scope: str,
    *,
    fetches: bool,
    pushes: bool,
) -> None:
    log_in(make_token(store, alice, (scope,)))
    for command, verb, is_allowed in (
        (FETCH, "download", fetches),
        ("git-upload-archive team/app", "download", fetches),
        (PUSH, "upload", pushes),
    ):
        if is_allowed:
            assert sshd.started(command)[0][0] == "git"
        else:
            assert sshd.refusal(command) == f"You are not allowed to {verb} code.\n"


def test_what_is_refused_stands_in_the_log(
    sshd: Sshd, commands: Commands, store: Store, alice: UserRecord, log_in: LogIn
) -> None:
    token = log_in(make_token(store, alice, ("read_repository",)))
    sshd.refusal(PUSH)
    sshd.refusal("ls /")
    first, second = refusals(commands)
    assert (first["gate"], first["check"], first["method"]) == ("ssh", "wanted", "git-receive-pack")
    assert (first["path"], first["missing"]) == ("/team/app", "write_repository")
    assert (first["actor"], first["ip"], first["token_id"]) == ("alice", HERE, token.record.id)
    assert (second["check"], second["path"], second["via"]) == ("request", "", "ssh")


@pytest.mark.parametrize(
    ("words", "check", "missing"),
    [
        ("read_user,sudo", "wanted", "sudo"),
        ("api", "wanted", "api"),
        ("read_repository 9999", "lifetime", None),
    ],
    ids=["admins' alone", "not held", "too long"],
)
def test_a_token_that_somebody_must_not_make_stands_in_the_log(
    sshd: Sshd,
    commands: Commands,
    store: Store,
    alice: UserRecord,
    log_in: LogIn,
    words: str,
    check: str,
    missing: str | None,
) -> None:
    token = log_in(make_token(store, alice, ("read_repository",) if words == "api" else ("api",)))
    sshd.refusal(f"personal_access_token ci {words}")
    [event] = refusals(commands)
    assert (event["check"], event.get("missing")) == (check, missing)
    assert (event["token_id"], event["method"]) == (token.record.id, "personal_access_token")


def test_a_slip_stands_in_no_log(sshd: Sshd, commands: Commands, key: KeyRecord) -> None:
    for words in ("ci", "ci api soon", "ci aip", f"{'n' * 256} api"):
        sshd.refusal(f"personal_access_token {words}", key=key)
    assert refusals(commands) == []


def test_each_command_asks_anew(sshd: Sshd, store: Store, alice: UserRecord, log_in: LogIn) -> None:
    token = log_in(make_token(store, alice))
    assert sshd.started(FETCH)
    tokens.revoke(store, COMMAND_LINE, token.record.id)
    assert sshd.refusal(FETCH) == "Access denied.\n"


def test_a_connection_that_no_token_opened_reaches_nothing(sshd: Sshd, commands: Commands) -> None:
    for command in (FETCH, "", "personal_access_token ci api"):
        assert sshd.refusal(command) == "Access denied.\n"
    assert {event["check"] for event in refusals(commands)} == {"unknown"}


def test_a_key_holds_what_api_holds_and_its_use_is_remembered(
    sshd: Sshd, store: Store, alice: UserRecord, key: KeyRecord
) -> None:
    arguments, environment = sshd.started(PUSH, key=key)
    assert arguments[1] == "receive-pack"
    assert (environment["X_AUTH_USER"], environment["X_AUTH_SCOPES"]) == ("alice", "api")
    assert "X_AUTH_TOKEN_ID" not in environment
    assert ssh_keys.get(store, alice.id, key.id).last_used_at is not None


@pytest.mark.parametrize("reason", ["removed", "expired", "owner"])
def test_a_key_that_is_not_good_any_more_reaches_nothing(
    sshd: Sshd, commands: Commands, store: Store, alice: UserRecord, key: KeyRecord, reason: str
) -> None:
    if reason == "removed":
        ssh_keys.remove(store, COMMAND_LINE, alice.id, key.id)
    elif reason == "owner":
        user_states.block(store, COMMAND_LINE, alice.id)
    else:
        # The day after that of the tests' clock is long over for the commands.
        key = make_ssh_key(store, alice, expires_on=today(store.clock) + timedelta(days=1))
    assert sshd.refusal(FETCH, key=key) == "Access denied.\n"
    [event] = refusals(commands)
    assert event["check"] == {"removed": "unknown"}.get(reason, reason)
    assert event["actor"] == (None if reason == "removed" else "alice")


def test_rules_decide_which_repository(
    sshd: Sshd, commands: Commands, store: Store, alice: UserRecord, key: KeyRecord
) -> None:
    bob = make_user(store, "bob")
    repositories.add(store, COMMAND_LINE, prefix="team", user_id=bob.id, access="write")
    assert sshd.refusal(FETCH, key=key) == NOT_FOUND
    repositories.add(store, COMMAND_LINE, prefix="team", user_id=alice.id, access="read")
    assert sshd.started(FETCH, key=key)
    assert sshd.refusal(PUSH, key=key) == NOT_FOUND
    assert {event["check"] for event in refusals(commands)} == {"rule"}


def test_a_repository_that_is_not_there_is_told_as_one_that_is_forbidden(
    sshd: Sshd, commands: Commands, key: KeyRecord
) -> None:
    for path in ("team/none", "team", "team/app/HEAD", "x" * 300):
        assert sshd.refusal(f"git-upload-pack {path}", key=key) == NOT_FOUND
    assert refusals(commands) == []


@pytest.mark.parametrize("error", [FileNotFoundError, NotADirectoryError, PermissionError])
def test_a_server_without_git_says_so(
    sshd: Sshd, key: KeyRecord, monkeypatch: pytest.MonkeyPatch, error: type[OSError]
) -> None:
    def miss(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, "execvpe", miss)
    assert sshd.refusal(FETCH, key=key).startswith("There is no Git on this server;")


def test_there_are_no_other_commands(sshd: Sshd, key: KeyRecord) -> None:
    for command in ("ls", "git-upload-pack ../app", "sh -c 'git-upload-pack x'"):
        assert sshd.refusal(command, key=key) == "Unknown command\n"


def test_whoever_asks_for_nothing_is_greeted(sshd: Sshd, key: KeyRecord) -> None:
    done = sshd.run("", key=key)
    assert (done.exit_code, done.stdout) == (0, "Welcome to tokensrv, @alice!\n")


def test_a_token_that_acts_as_its_owner_tells_hooks_who_really_acts(
    sshd: Sshd, commands: Commands, store: Store, alice: UserRecord, log_in: LogIn
) -> None:
    source = make_token(store, make_admin(store), ("api", "sudo"))
    log_in(make_exchanged(store, source, alice))
    environment = sshd.started(PUSH)[1]
    assert (environment["X_AUTH_USER"], environment["X_AUTH_ACTOR"]) == ("alice", "root")
    assert "sudo.used" in commands.actions()
    assert sshd.refusal("personal_access_token ci api") == (
        "Failed to create token: Not allowed while using sudo\n"
    )


@pytest.mark.parametrize(("days", "expected"), [("", 30), (" 7", 8), (" 0", 1)])
def test_a_key_makes_a_token_in_gitlabs_words(
    sshd: Sshd, commands: Commands, store: Store, key: KeyRecord, days: str, expected: int
) -> None:
    done = sshd.run(f"personal_access_token ci read_user,api{days}", key=key)
    made = printed_token(done)
    assert (made["scopes"], made["expires"]) == ("read_user,api", in_days(expected))
    assert caller_of(store, made["token"]).subject.username == "alice"
    event = commands.json("audit", "list")[-1]
    assert (event["action"], event["actor"], event["ip"]) == ("token.created", "alice", HERE)
    assert made["token"] not in str(event)


def test_what_a_token_makes_neither_exceeds_nor_outlives_it(
    sshd: Sshd, store: Store, alice: UserRecord, log_in: LogIn
) -> None:
    day = today(SystemClock()) + timedelta(days=9)
    log_in(make_token(store, alice, ("api",), expires_on=day))
    made = printed_token(sshd.run("personal_access_token ci read_api"))
    assert (made["scopes"], made["expires"]) == ("read_api", day.isoformat())
    assert sshd.refusal("personal_access_token ci read_api 9") == (
        f"Failed to create token: Expiration date must be before {day}\n"
    )


def test_what_a_key_makes_does_not_outlive_it(
    sshd: Sshd, store: Store, clock: ManualClock, alice: UserRecord
) -> None:
    clock.set(utcnow(SystemClock()))
    day = today(store.clock) + timedelta(days=9)
    key = make_ssh_key(store, alice, expires_on=day)
    made = printed_token(sshd.run("personal_access_token ci api", key=key))
    assert made["expires"] == day.isoformat()
    assert sshd.refusal("personal_access_token ci api 30", key=key) == (
        f"Failed to create token: Expiration date must be before {day}\n"
    )


@pytest.mark.parametrize("scope", ["read_api", "write_repository"])
def test_a_token_without_api_makes_none(
    sshd: Sshd, store: Store, alice: UserRecord, log_in: LogIn, scope: str
) -> None:
    log_in(make_token(store, alice, (scope,)))
    assert sshd.refusal(f"personal_access_token ci {scope}") == (
        "Failed to create token: The calling token does not hold: api\n"
    )


def test_a_token_keeps_to_the_addresses_of_the_one_that_made_it(
    sshd: Sshd, store: Store, alice: UserRecord, log_in: LogIn
) -> None:
    log_in(make_token(store, alice, allowed_ips=(HERE,)))
    printed_token(sshd.run("personal_access_token ci api"))
    assert sshd.run("", SSH_CONNECTION="192.0.2.8 50000 192.0.2.1 22").exit_code == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ci", "Usage: personal_access_token <name> <scope1[,scope2,...]> [ttl_days]\n"),
        ("ci api x", "Invalid value for days_ttl: 'x'\n"),
        ("ci api 9999", "Failed to create token: Expiration date must be before "),
        (f"{'n' * 256} api", "Failed to create token: name is invalid\n"),
        ("'\x1b[2J' sudo", "Invalid scope: 'sudo'. Valid scopes are: ["),
    ],
)
def test_a_mistake_makes_nothing(
    sshd: Sshd, commands: Commands, key: KeyRecord, words: str, expected: str
) -> None:
    assert sshd.refusal(f"personal_access_token {words}", key=key).startswith(expected)
    assert "token.created" not in commands.actions()
