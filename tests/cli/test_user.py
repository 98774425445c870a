"""`tokensrv user`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cli.conftest import Commands
from tests.factories import make_token, make_totp
from tokensrv.cli import user as user_commands
from tokensrv.db import Store
from tokensrv.services.account import second_factors
from tokensrv.services.directory import users

PASSWORD = "correct horse battery"


@pytest.fixture
def alice(commands: Commands) -> int:
    """The id of the user alice."""
    user_id: int = commands.json("user", "create", "alice", "--email", "alice@example.com")["id"]
    return user_id


@pytest.fixture
def root(commands: Commands) -> int:
    """The id of the admin root."""
    options = ["--email", "root@example.com", "--admin"]
    user_id: int = commands.json("user", "create", "root", *options)["id"]
    return user_id


def test_a_user_is_made_in_the_form_that_admins_see(commands: Commands) -> None:
    options = ["--email", "alice@example.com", "--name", "Alice Doe"]
    made = commands.json("user", "create", "alice", *options)
    shown = {name: made[name] for name in ("username", "name", "email", "state", "is_admin")}
    assert shown == {
        "username": "alice",
        "name": "Alice Doe",
        "email": "alice@example.com",
        "state": "active",
        "is_admin": False,
    }
    assert made["created_by"] is None
    assert made["web_url"] == "http://127.0.0.1:8000/alice"


def test_the_name_is_the_username_without_one(commands: Commands) -> None:
    assert commands.json("user", "create", "bob", "--email", "b@example.com")["name"] == "bob"


def test_people_are_told_the_id(commands: Commands, alice: int) -> None:
    told = commands.text("user", "create", "bob", "--email", "b@example.com", "--admin")
    assert told == f"bob is user {alice + 1}.\n"
    assert commands.json("user", "show", "bob")["is_admin"] is True


def test_a_password_comes_from_stdin_and_must_be_changed(
    commands: Commands, store: Store, never_shown: Callable[[str], bool]
) -> None:
    options = ["--email", "a@example.com", "--password-stdin"]
    made = commands.json("user", "create", "alice", *options, given=f"{PASSWORD}\nmore\n")
    assert users.get(store, made["id"]).has_password
    assert never_shown(PASSWORD)


def test_a_password_is_set(
    commands: Commands, store: Store, alice: int, never_shown: Callable[[str], bool]
) -> None:
    assert not users.get(store, alice).has_password
    told = commands.text("user", "set-password", "alice", given=PASSWORD)
    assert told == "alice has a new password and must change it at the first sign-in.\n"
    assert users.get(store, alice).has_password
    assert never_shown(PASSWORD)
    assert commands.json("user", "set-password", "alice", given=PASSWORD)["id"] == alice


@pytest.mark.usefixtures("terminal")
def test_a_password_is_asked_for_twice_on_a_terminal(
    commands: Commands, store: Store, alice: int
) -> None:
    done = commands.run("user", "set-password", "alice", given=f"{PASSWORD}\n{PASSWORD}\n")
    assert done.exit_code == 0
    assert PASSWORD not in done.output
    assert users.get(store, alice).has_password


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        pytest.param("", "Password is missing; give it as a line on stdin.", id="none"),
        pytest.param("\n", "Password is missing; give it as a line on stdin.", id="blank"),
        pytest.param(b"\xff\xfe\n", "Password on stdin is not UTF-8; encode it.", id="bytes"),
        pytest.param("short", "password is too short (minimum is 8 characters).", id="short"),
    ],
)
def test_a_password_that_is_none_is_refused(
    commands: Commands, given: str | bytes, sentence: str
) -> None:
    assert commands.refusal("user", "set-password", "alice", given=given) == sentence


@pytest.mark.parametrize("name", ["alice", "ALICE", "{id}"])
def test_a_user_is_named_by_name_in_any_case_or_by_id(
    commands: Commands, alice: int, name: str
) -> None:
    assert commands.json("user", "show", name.format(id=alice))["id"] == alice


def test_people_see_what_matters_of_a_user(commands: Commands, alice: int) -> None:
    shown = dict(line.split("\t") for line in commands.text("user", "show", "alice").splitlines())
    assert (shown["id"], shown["username"], shown["state"]) == (str(alice), "alice", "active")
    assert (shown["role"], shown["password"]) == ("user", "none")


def test_the_list_has_everybody_the_oldest_first(commands: Commands, root: int, alice: int) -> None:
    listed = commands.json("user", "list")
    assert [user["id"] for user in listed] == [root, alice]
    assert listed[1] == commands.json("user", "show", "alice")
    head, *lines = commands.text("user", "list").splitlines()
    assert head.split("\t")[:2] == ["id", "username"]
    assert [line.split("\t")[:2] for line in lines] == [[str(root), "root"], [str(alice), "alice"]]


def test_a_long_list_is_read_in_parts(
    commands: Commands, root: int, alice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_commands, "_CHUNK", 1)
    assert [user["id"] for user in commands.json("user", "list")] == [root, alice]


def test_nobody_is_an_empty_list(commands: Commands) -> None:
    assert commands.json("user", "list") == []
    assert commands.text("user", "list").count("\n") == 1


def test_a_user_is_blocked_and_unblocked(commands: Commands, alice: int) -> None:
    assert commands.text("user", "block", "alice") == "alice is blocked.\n"
    assert commands.text("user", "block", "alice") == "alice was already blocked.\n"
    assert commands.json("user", "show", str(alice))["state"] == "blocked"
    assert commands.json("user", "unblock", "alice")["state"] == "active"
    assert commands.text("user", "unblock", "alice") == "alice was already active.\n"
    assert commands.actions() == ["user.created", "user.blocked", "user.unblocked"]


@pytest.mark.usefixtures("root", "alice")
def test_a_user_is_promoted_and_demoted(commands: Commands) -> None:
    assert commands.text("user", "promote", "alice") == "alice is an admin.\n"
    assert commands.json("user", "promote", "alice")["is_admin"] is True
    assert commands.text("user", "demote", "alice") == "alice is no admin.\n"
    assert commands.text("user", "demote", "alice") == "alice was already no admin.\n"
    assert commands.actions()[2:] == ["user.promoted", "user.demoted"]


def test_a_deleted_user_takes_his_tokens_with_him(
    commands: Commands, store: Store, alice: int
) -> None:
    secret = make_token(store, users.get(store, alice)).secret
    assert commands.json("token", "introspect", given=secret)["active"] is True
    assert commands.json("user", "delete", "alice")["id"] == alice
    assert commands.json("token", "introspect", given=secret) == {"active": False}
    assert commands.json("user", "list") == []
    again = commands.text("user", "create", "alice", "--email", "alice@example.com")
    assert again == f"alice is user {alice + 1}.\n"
    assert commands.text("user", "delete", "alice") == "alice is deleted.\n"


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("verb", ["block", "demote", "delete"])
def test_the_last_admin_stays(commands: Commands, verb: str) -> None:
    assert commands.refusal("user", verb, "root") == "The last active admin must stay one."
    assert commands.json("user", "show", "root")["is_admin"] is True


@pytest.mark.usefixtures("terminal", "root")
@pytest.mark.parametrize("verb", ["block", "demote", "delete"])
def test_what_takes_power_away_asks_on_a_terminal(commands: Commands, verb: str) -> None:
    commands.text("user", "create", "alice", "--email", "alice@example.com", "--admin")
    before = commands.actions()
    done = commands.run("user", verb, "alice", given="n\n")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "alice" in done.stderr
    assert commands.actions() == before
    assert commands.run("user", verb, "alice", given="y\n").exit_code == 0
    assert len(commands.actions()) == len(before) + 1


@pytest.mark.usefixtures("terminal", "root")
@pytest.mark.parametrize("verb", ["block", "demote", "delete"])
def test_yes_answers_beforehand(commands: Commands, verb: str) -> None:
    commands.text("user", "create", "alice", "--email", "alice@example.com", "--admin")
    done = commands.run("user", verb, "alice", "--yes")
    assert (done.exit_code, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "verb", ["show", "block", "unblock", "promote", "demote", "delete", "set-password"]
)
@pytest.mark.parametrize("name", ["nobody", "999", "9" * 30])
def test_an_unknown_user_is_refused(commands: Commands, verb: str, name: str) -> None:
    expected = f"User {name} was not found; `tokensrv user list` shows what there is."
    assert commands.refusal("user", verb, name, given=PASSWORD) == expected


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize(
    ("username", "email", "sentence"),
    [
        pytest.param("ALICE", "x@example.com", "Username has already been taken", id="name"),
        pytest.param("bob", "ALICE@example.com", "Email has already been taken", id="email"),
        pytest.param("123", "x@example.com", "username is invalid", id="digits"),
        pytest.param("b,b", "x@example.com", "username is invalid", id="comma"),
        pytest.param("bob", "nowhere", "email is invalid", id="no address"),
    ],
)
def test_what_makes_no_user_is_refused(
    commands: Commands, username: str, email: str, sentence: str
) -> None:
    assert commands.refusal("user", "create", username, "--email", email).startswith(sentence)
    assert len(commands.json("user", "list")) == 1


def test_a_user_needs_an_address(commands: Commands) -> None:
    assert commands.run("user", "create", "bob").exit_code == 2


def test_second_factors_that_are_lost_are_removed(
    commands: Commands, store: Store, alice: int
) -> None:
    make_totp(store, users.get(store, alice))
    done = "alice is without a second factor.\n"
    assert commands.text("user", "reset-two-factor", "alice") == done
    assert not second_factors.get(store, alice).has_any
    again = commands.text("user", "reset-two-factor", "alice")
    assert again == "alice was already without a second factor.\n"
    assert commands.actions()[-1] == "second_factor.reset"


def test_a_link_to_a_new_password_is_told_once_and_is_no_secret_of_the_log(
    commands: Commands, alice: int, never_shown: Callable[[str], bool]
) -> None:
    address = commands.text("user", "reset-link", "ALICE").rstrip("\n")
    assert address.startswith("http://127.0.0.1:8000/users/password/reset#")
    made = commands.json("user", "reset-link", "alice")
    assert set(made) == {"url", "expires_at"}
    assert all(never_shown(link.partition("#")[2]) for link in (address, made["url"]))
    assert commands.actions() == ["user.created", "password_reset.made", "password_reset.made"]
