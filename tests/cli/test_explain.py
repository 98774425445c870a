"""`tokensrv token explain`."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Commands
from tests.factories import make_admin, make_client, make_token, make_user
from tokensrv.db import Store
from tokensrv.domain.secret import Kind, mint
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import NewToken, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE


@pytest.fixture
def root(store: Store) -> UserRecord:
    return make_admin(store)


@pytest.fixture
def alice(store: Store, root: UserRecord) -> UserRecord:
    return make_user(store)


@pytest.fixture
def token(store: Store, alice: UserRecord) -> NewToken:
    return make_token(store, alice, ("read_user",))


def test_prints_a_list_of_checks_and_what_comes_of_them(
    commands: Commands, token: NewToken
) -> None:
    printed = commands.text("token", "explain", given=token.secret)
    assert printed == (
        "state\tcheck\tdetail\n"
        f"passed\tunknown\tIt is the personal token {token.record.id} of alice.\n"
        "passed\texpired\tIt lasts without end.\n"
        "passed\trevoked\tIt was not revoked.\n"
        "passed\towner\tIts owner alice is active.\n"
        "active\t\tAll checks are passed.\n"
    )


def test_a_failed_check_is_the_last(commands: Commands, store: Store, token: NewToken) -> None:
    tokens.revoke(store, COMMAND_LINE, token.record.id)
    *_, failed, told = commands.text("token", "explain", token.record.id).splitlines()
    assert failed.startswith("failed\trevoked\tIt was revoked")
    assert told == "inactive\t\tWhat comes after was not looked at."


def test_json_is_the_apis_object(commands: Commands, token: NewToken) -> None:
    by_secret = commands.json("token", "explain", given=f"{token.secret}\n")
    assert by_secret == commands.json("token", "explain", token.record.id)
    assert by_secret["active"] is True
    assert by_secret["checks"][0].keys() == {"check", "passed", "detail"}


def test_explains_a_sudo_and_leaves_no_trail(
    commands: Commands, store: Store, root: UserRecord, alice: UserRecord
) -> None:
    secret = make_token(store, root, ("sudo",)).secret
    before = commands.actions()
    granted = commands.json("token", "explain", "--sudo", "alice", given=secret)
    refused = commands.json("token", "explain", "--sudo", "root", given=secret)
    assert (granted["active"], refused["active"]) == (True, False)
    assert refused["checks"][-1]["check"] == "target_admin"
    assert commands.json("token", "explain", "--sudo", "", given=secret)["active"] is False
    assert commands.actions() == before
    assert commands.json("token", "list")[0]["last_used_at"] is None


def test_speaks_for_a_client_and_about_scopes(
    commands: Commands, store: Store, alice: UserRecord
) -> None:
    one, other = (make_client(store, name).record.client_id for name in ("one", "other"))
    secret = make_token(store, alice, ("read_api",), audience=(one,)).secret
    told = commands.json("token", "explain", "--client", other, given=secret)
    assert (told["active"], told["checks"][-1]["check"]) == (False, "audience")
    wanted = ("--scope", "read_user", "--scope", "api")
    told = commands.json("token", "explain", "--client", one, *wanted, given=secret)
    assert told["checks"][-1]["detail"] == "It does not hold: api."


@pytest.mark.usefixtures("root")
def test_an_unknown_token_is_one_sentence(commands: Commands) -> None:
    expected = "Token was not found; `tokensrv token list` shows what there is."
    for secret in ("junk", mint("ts", Kind.PERSONAL)):
        assert commands.refusal("token", "explain", given=secret) == expected
    assert commands.refusal("token", "explain", 999) == expected


def test_an_unknown_client_is_one_sentence(commands: Commands, token: NewToken) -> None:
    refusal = commands.refusal("token", "explain", "--client", "nobody", given=token.secret)
    assert refusal == (
        "client_id does not have a valid value; `tokensrv client list` shows the client ids."
    )


def test_a_token_with_an_allow_list_is_used_from_somewhere(
    commands: Commands, store: Store, alice: UserRecord
) -> None:
    secret = make_token(store, alice, allowed_ips=("10.0.0.0/8",)).secret
    for verb in ("explain", "introspect"):
        told = [
            commands.json("token", verb, *options, given=secret)["active"]
            for options in ((), ("--remote-ip", "192.0.2.7"), ("--remote-ip", "10.1.2.3"))
        ]
        assert told == [False, False, True]
