"""`tokensrv token introspect`."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Commands
from tests.factories import make_client, make_token, make_user
from tokensrv.db import Store
from tokensrv.services.records import UserRecord


@pytest.fixture
def root(store: Store) -> UserRecord:
    return make_user(store, "root", is_admin=True)


@pytest.fixture
def alice(store: Store) -> UserRecord:
    return make_user(store)


@pytest.fixture
def sudo_secret(store: Store, root: UserRecord) -> str:
    return make_token(store, root, ("sudo",)).secret


def test_it_says_what_a_client_would_be_told(
    commands: Commands, store: Store, alice: UserRecord
) -> None:
    new = make_token(store, alice, ("read_user",))
    answer = commands.json("token", "introspect", given=f"{new.secret}\n")
    assert (answer["active"], answer["username"], answer["scope"]) == (True, "alice", "read_user")
    assert (answer["sub"], answer["jti"]) == (str(alice.id), str(new.record.id))
    assert "username\talice\n" in commands.text("token", "introspect", given=new.secret)


def test_no_client_asks_and_the_audience_does_not_count(
    commands: Commands, store: Store, alice: UserRecord
) -> None:
    client_id = make_client(store).record.client_id
    secret = make_token(store, alice, audience=(client_id,)).secret
    answer = commands.json("token", "introspect", given=secret)
    assert (answer["active"], answer["aud"]) == (True, [client_id])
    assert "client_id" not in answer


@pytest.mark.parametrize("secret", ["nonsense", "tsp_" + "0" * 36, "tsp_\u00e9"])
def test_what_is_no_token_is_inactive(commands: Commands, secret: str) -> None:
    assert commands.json("token", "introspect", given=secret) == {"active": False}
    assert commands.text("token", "introspect", given=secret) == "active\toff\n"


def test_nothing_on_stdin_is_refused(commands: Commands) -> None:
    expected = "Token is missing; give it as a line on stdin."
    assert commands.refusal("token", "introspect") == expected


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_the_secret_is_asked_for_and_not_shown(
    commands: Commands, sudo_secret: str
) -> None:
    done = commands.run("token", "introspect", given=f"{sudo_secret}\n")
    assert done.exit_code == 0
    assert "username\troot\n" in done.stdout
    assert sudo_secret not in done.output


def test_sudo_tells_as_whom_and_who_really(
    commands: Commands, sudo_secret: str, root: UserRecord, alice: UserRecord
) -> None:
    options = ("--sudo", "ALICE", "--sudo-reason", "ticket 7")
    answer = commands.json("token", "introspect", *options, given=sudo_secret)
    assert (answer["sub"], answer["scope"]) == (str(alice.id), "api")
    assert (answer["act"]["sub"], answer["act"]["username"]) == (str(root.id), "root")
    event = commands.json("audit", "list")[-1]
    assert (event["action"], event["actor"], event["subject"]) == ("sudo.used", "root", "alice")
    assert (event["reason"], event["data"]["via"]) == ("ticket 7", "cli")
    assert event["token_id"] == int(answer["jti"])


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize("target", ["nobody", "root", ""])
def test_a_sudo_that_is_refused_is_inactive(
    commands: Commands, sudo_secret: str, target: str
) -> None:
    asked = commands.json("token", "introspect", "--sudo", target, given=sudo_secret)
    assert asked == {"active": False}


@pytest.mark.usefixtures("alice")
def test_a_refused_sudo_is_an_event(commands: Commands, sudo_secret: str) -> None:
    commands.json("token", "introspect", "--sudo", "nobody", given=sudo_secret)
    event = commands.json("audit", "list")[-1]
    assert (event["action"], event["data"]["check"]) == ("sudo.refused", "target")


def test_asking_counts_as_use(commands: Commands, store: Store, alice: UserRecord) -> None:
    new = make_token(store, alice)
    commands.json("token", "introspect", given=new.secret)
    assert commands.json("token", "show", new.record.id)["last_used_at"] is not None
