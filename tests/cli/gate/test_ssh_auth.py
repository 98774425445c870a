"""`tokensrv gate ssh-auth`, as pam_exec calls it."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.cli.conftest import Commands
from tests.factories import make_client, make_token, make_user
from tokensrv.cli import main
from tokensrv.cli.gate import connection
from tokensrv.db import Store
from tokensrv.domain.secret import digest
from tokensrv.services.gates.ssh import logins
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

HERE = "192.0.2.7"
CONNECTION = b"c" * 32
READING = ("read_repository",)


class Pam:
    """PAM, as it tells in the environment who wants in from where."""

    def __init__(self, runner: CliRunner) -> None:
        self._runner = runner

    def ask(self, secret: str | bytes, **variables: str) -> Result:
        """Return the answer about alice, from here, unless the variables say something else."""
        told = {"PAM_USER": "alice", "PAM_RHOST": HERE, "PAM_TYPE": "auth", **variables}
        done = self._runner.invoke(main, ["gate", "ssh-auth"], secret, env=told)
        assert done.stdout == ""
        return done

    def lets_in(self, secret: str | bytes, **variables: str) -> bool:
        """Return whether the exit code says yes; nothing but yes and no is said."""
        done = self.ask(secret, **variables)
        assert done.exit_code in {0, 1}, done.output
        assert done.stderr.count("\n") == 1
        return done.exit_code == 0


@pytest.fixture
def pam(runner: CliRunner) -> Pam:
    return Pam(runner)


@pytest.fixture
def alice(store: Store) -> UserRecord:
    return make_user(store)


def refusals(commands: Commands) -> list[dict[str, Any]]:
    listed = commands.json("audit", "list", "--action", "gate.refused")
    return [event | event["data"] for event in listed]


@pytest.mark.parametrize("scope", ["read_repository", "write_repository", "read_api", "api"])
def test_a_token_that_reads_repositories_lets_its_owner_in(
    pam: Pam, store: Store, alice: UserRecord, scope: str
) -> None:
    secret = make_token(store, alice, (scope,)).secret
    done = pam.ask(secret)
    assert done.exit_code == 0
    assert secret not in done.output


def test_what_ends_the_secret_is_no_part_of_it(pam: Pam, store: Store, alice: UserRecord) -> None:
    secret = make_token(store, alice, READING).secret
    for end in ("\n", "\0", "\r\n", "\n\0", ""):
        assert pam.lets_in(secret + end)
    assert not pam.lets_in(secret + " ")


def test_a_username_is_the_same_in_any_case(pam: Pam, store: Store, alice: UserRecord) -> None:
    assert pam.lets_in(make_token(store, alice, READING).secret, PAM_USER="ALICE")


def test_the_use_of_a_token_is_remembered_with_its_address(
    pam: Pam, commands: Commands, store: Store, alice: UserRecord
) -> None:
    new = make_token(store, alice, READING)
    assert pam.lets_in(new.secret)
    assert commands.json("token", "show", new.record.id)["last_used_ips"] == [HERE]


def test_nobody_gets_in_with_somebody_elses_token_or_under_a_number(
    pam: Pam, commands: Commands, store: Store, alice: UserRecord
) -> None:
    new = make_token(store, make_user(store, "bob"), READING)
    assert not pam.lets_in(new.secret)
    assert not pam.lets_in(make_token(store, alice, READING).secret, PAM_USER=str(alice.id))
    first, second = refusals(commands)
    assert (first["check"], first["actor"], first["ip"]) == ("credentials", "bob", HERE)
    assert (first["token_id"], first["path"], second["actor"]) == (
        new.record.id,
        "alice",
        "alice",
    )


@pytest.mark.parametrize("scopes", [("read_user",), ("read_registry",), ("sudo", "read_user")])
def test_a_token_for_something_else_is_refused(
    pam: Pam, commands: Commands, store: Store, scopes: tuple[str, ...]
) -> None:
    root = make_user(store, "root", is_admin=True)
    assert not pam.lets_in(make_token(store, root, scopes).secret, PAM_USER="root")
    [event] = refusals(commands)
    assert (event["check"], event["missing"]) == ("wanted", "read_repository")


def test_an_audience_and_an_allow_list_count(pam: Pam, store: Store, alice: UserRecord) -> None:
    client_id = make_client(store).record.client_id
    assert not pam.lets_in(make_token(store, alice, audience=(client_id,)).secret)
    bound = make_token(store, alice, allowed_ips=(HERE,)).secret
    assert pam.lets_in(bound)
    # A name in place of an address is in no network.
    for host in ("192.0.2.8", "host.example.com", ""):
        assert not pam.lets_in(bound, PAM_RHOST=host)


def test_the_password_of_the_account_does_not_count(pam: Pam, store: Store) -> None:
    make_user(store, "carol", password="correct horse battery staple")
    assert not pam.lets_in("correct horse battery staple", PAM_USER="carol")


@pytest.mark.parametrize("secret", [b"", b"\xff\xfe\0", b"x" * 5000, b"tsp_" + b"0" * 36])
def test_what_is_no_token_is_refused(
    pam: Pam, commands: Commands, alice: UserRecord, secret: bytes
) -> None:
    assert not pam.lets_in(secret, PAM_USER=alice.username)
    assert [event["check"] for event in refusals(commands)] == ["unknown"]


@pytest.mark.parametrize(
    "name", ["a secret", "carol", "\x1b[2J", "\udcff"], ids=["secret", "nobody", "cursor", "bytes"]
)
def test_a_name_that_nobody_has_is_neither_told_nor_stored(
    pam: Pam, commands: Commands, name: str
) -> None:
    assert pam.ask("nothing", PAM_USER=name).stderr == "Error: Nobody is let in: unknown.\n"
    assert [event["path"] for event in refusals(commands)] == [""]


def test_what_is_no_question_of_who_it_is_is_let_be(pam: Pam) -> None:
    for kind in ("account", "open_session", "close_session"):
        assert pam.ask("", PAM_TYPE=kind).exit_code == 0


@pytest.mark.parametrize("variables", [{"PAM_TYPE": "password"}, {"PAM_USER": ""}])
def test_what_pam_does_not_ask_so_is_a_mistake(pam: Pam, variables: dict[str, str]) -> None:
    assert pam.ask("", **variables).exit_code == 2


def test_whoever_guesses_is_told_to_stop_and_the_owner_still_gets_in(
    pam: Pam, commands: Commands, store: Store, alice: UserRecord
) -> None:
    for _ in range(60):
        assert not pam.lets_in("a guess")
    checks = [event["check"] for event in refusals(commands)]
    # Ten of each in a minute, however many processes there were; a minute may end meanwhile.
    assert checks[0] == "unknown"
    assert "too_many" in checks
    assert len(checks) <= 40
    assert pam.lets_in(make_token(store, alice, READING).secret)


def test_the_token_is_remembered_for_what_the_connection_does_later(
    pam: Pam, store: Store, alice: UserRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "of", lambda _pid: CONNECTION)
    # The tests' clock stands still, long before that of the commands.
    refused, good = make_token(store, alice, ("read_user",)), make_token(store, alice, READING)
    assert not pam.lets_in(refused.secret)
    assert logins.find_digest(store, CONNECTION) is None
    assert pam.lets_in(good.secret)
    assert logins.find_digest(store, CONNECTION) == digest(good.secret)


def test_a_revoked_token_is_refused(pam: Pam, store: Store, alice: UserRecord) -> None:
    new = make_token(store, alice, READING)
    tokens.revoke(store, COMMAND_LINE, new.record.id)
    assert not pam.lets_in(new.secret)
