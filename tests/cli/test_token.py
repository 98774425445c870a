"""`tokensrv token`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cli.conftest import Commands
from tests.factories import make_client, make_token, make_user
from tokensrv.cli import token as token_commands
from tokensrv.clock import today
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.services.records import UserRecord

MEMBERS = {
    "id",
    "name",
    "revoked",
    "created_at",
    "description",
    "scopes",
    "user_id",
    "last_used_at",
    "last_used_ips",
    "active",
    "granular",
    "expires_at",
    "audience",
    "allowed_ips",
}
# Commands read the time of the machine.
TODAY = datetime.now(tz=UTC).date()


@pytest.fixture
def alice(store: Store) -> UserRecord:
    return make_user(store)


@pytest.fixture
def root(store: Store) -> UserRecord:
    return make_user(store, "root", is_admin=True)


@pytest.fixture
def create(commands: Commands, alice: UserRecord) -> Callable[..., Any]:
    """Make a token of alice's and return its object."""

    def create(*options: object) -> Any:
        basic = ("--user", alice.username, "--name", "laptop", "--scope", "read_api")
        return commands.json("token", "create", *basic, *options)

    return create


Create = Callable[..., Any]


def test_a_new_token_is_the_object_of_the_api_with_its_secret(
    create: Create, alice: UserRecord
) -> None:
    made = create()
    assert set(made) == MEMBERS | {"token"}
    assert (made["user_id"], made["name"], made["scopes"]) == (alice.id, "laptop", ["read_api"])
    assert (made["active"], made["revoked"], made["expires_at"]) == (True, False, None)
    assert made["token"].startswith("tsp_")


def test_a_token_is_made_as_it_is_wanted(create: Create, store: Store) -> None:
    client_id = make_client(store).record.client_id
    day = str(TODAY + timedelta(days=30))
    made = create(
        *("--scope", "self_rotate"),
        *("--expires-at", day),
        *("--audience", client_id),
        *("--allow-ip", "10.0.0.0/8", "--allow-ip", "2001:DB8::1"),
        *("--description", "Nightly backup"),
    )
    assert made["scopes"] == ["read_api", "self_rotate"]
    assert (made["expires_at"], made["audience"]) == (day, [client_id])
    assert made["allowed_ips"] == ["10.0.0.0/8", "2001:db8::1"]
    assert made["description"] == "Nightly backup"


def test_people_see_an_allow_list_only_where_there_is_one(
    commands: Commands, create: Create
) -> None:
    anywhere, placed = create(), create("--allow-ip", "10.0.0.0/8", "--allow-ip", "192.0.2.7")
    assert "allowed_ips" not in commands.text("token", "show", anywhere["id"])
    shown = commands.text("token", "show", placed["id"])
    assert "allowed_ips\t10.0.0.0/8 192.0.2.7\n" in shown


@pytest.mark.usefixtures("root")
def test_an_admin_may_have_sudo(commands: Commands) -> None:
    options = ["--user", "root", "--name", "sudo", "--scope", "sudo"]
    assert commands.json("token", "create", *options)["scopes"] == ["sudo"]


def test_people_see_the_secret_once_and_are_told_so(commands: Commands, alice: UserRecord) -> None:
    options = ["--user", alice.username, "--name", "laptop", "--scope", "api"]
    done = commands.run("token", "create", *options)
    assert done.exit_code == 0
    assert done.output.count("tsp_") == 1
    assert done.stderr == "Keep the secret: it is shown only now.\n"


def test_no_event_knows_a_secret(
    commands: Commands, create: Create, never_shown: Callable[[str], bool]
) -> None:
    made = create()
    rotated = commands.json("token", "rotate", made["id"])
    assert never_shown(made["token"])
    assert never_shown(rotated["token"])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param(("--scope", "nope"), "scopes does not have a valid value", id="unknown"),
        pytest.param(("--scope", "sudo"), "scopes does not have a valid value", id="admins' own"),
        pytest.param(("--expires-at", str(TODAY)), "expires_at is invalid; it must", id="today"),
        pytest.param(
            ("--expires-at", str(TODAY + timedelta(days=366))),
            f"Expiration date must be before {TODAY + timedelta(days=365)}; that day itself",
            id="too late",
        ),
        pytest.param(("--audience", "x"), "audience does not have a valid value", id="audience"),
        pytest.param(
            ("--allow-ip", "here"),
            "allowed_ips does not have a valid value; give up to 32 addresses and networks",
            id="allow list",
        ),
        pytest.param(("--name", " "), "name is invalid", id="name"),
        pytest.param(("--description", "x" * 256), "description is invalid", id="description"),
        pytest.param(("--user", "nobody"), "User nobody was not found", id="owner"),
    ],
)
@pytest.mark.usefixtures("alice")
def test_what_makes_no_token_is_refused(
    commands: Commands, options: tuple[str, ...], sentence: str
) -> None:
    basic = ("--user", "alice", "--name", "laptop", "--scope", "api")
    assert commands.refusal("token", "create", *basic, *options).startswith(sentence)
    assert commands.json("token", "list") == []


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("create", "--user", "alice", "--name", "x"), id="no scope"),
        pytest.param(("create", "--user", "alice", "--scope", "api"), id="no name"),
        pytest.param(("rotate", "1", "--expires-at", "tomorrow"), id="no day"),
        pytest.param(("show", "x"), id="no id"),
        pytest.param(("show", "0"), id="id too small"),
        pytest.param(("show", str(2**63)), id="id too large"),
        pytest.param(("list", "--state", "new"), id="no state"),
    ],
)
def test_what_cannot_be_read_is_a_usage_error(
    commands: Commands, arguments: tuple[str, ...]
) -> None:
    assert commands.run("token", *arguments).exit_code == 2


def test_the_list_has_the_tokens_of_everybody(
    commands: Commands, store: Store, create: Create, root: UserRecord
) -> None:
    mine, other = create(), make_token(store, root).record
    listed = commands.json("token", "list")
    assert [token["id"] for token in listed] == [mine["id"], other.id]
    assert set(listed[0]) == MEMBERS
    assert [token["id"] for token in commands.json("token", "list", "--user", "root")] == [other.id]


def test_people_see_whose_a_token_is_and_how_it_stands(
    commands: Commands, create: Create, store: Store, alice: UserRecord
) -> None:
    revoked = create()["id"]
    commands.text("token", "revoke", revoked)
    # The clock of the tests stands in the past, where this one had a day to live.
    make_token(store, alice, name="old", expires_on=today(store.clock) + timedelta(days=1))
    create("--name", "fresh")
    head, *lines = commands.text("token", "list").splitlines()
    columns = head.split("\t")
    rows = [dict(zip(columns, line.split("\t"), strict=True)) for line in lines]
    assert [(row["user"], row["name"], row["state"]) for row in rows] == [
        ("alice", "laptop", "revoked"),
        ("alice", "old", "expired"),
        ("alice", "fresh", "active"),
    ]


@pytest.mark.parametrize(
    ("state", "found"),
    [("active", ["kept"]), ("inactive", ["gone"]), ("all", ["gone", "kept"])],
)
def test_the_list_is_filtered_by_state(
    commands: Commands, create: Create, state: str, found: list[str]
) -> None:
    commands.text("token", "revoke", create("--name", "gone")["id"])
    create("--name", "kept")
    listed = commands.json("token", "list", "--state", state)
    assert [token["name"] for token in listed] == found


def test_a_long_list_is_read_in_parts(
    commands: Commands, create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [create()["id"] for _ in range(3)]
    monkeypatch.setattr(token_commands, "_CHUNK", 2)
    assert [token["id"] for token in commands.json("token", "list")] == made


def test_impersonation_tokens_are_shown_as_such(
    commands: Commands, store: Store, alice: UserRecord
) -> None:
    made = make_token(store, alice, kind=TokenKind.IMPERSONATION).record
    assert commands.json("token", "show", made.id)["impersonation"] is True
    assert [token["id"] for token in commands.json("token", "list")] == [made.id]


def test_show_never_has_the_secret(commands: Commands, create: Create) -> None:
    made = create()
    assert set(commands.json("token", "show", made["id"])) == MEMBERS
    assert "name\tlaptop\n" in commands.text("token", "show", made["id"])


def test_a_token_is_renamed_and_narrowed(commands: Commands, create: Create, store: Store) -> None:
    client_id = make_client(store).record.client_id
    made = create("--scope", "self_rotate")
    day = str(TODAY + timedelta(days=3))
    changed = commands.json(
        *("token", "change", made["id"], "--name", "new", "--description", "why"),
        *("--scope", "read_user", "--expires-at", day, "--audience", client_id),
        *("--allow-ip", "192.0.2.7"),
    )
    assert (changed["name"], changed["description"]) == ("new", "why")
    assert (changed["scopes"], changed["expires_at"]) == (["read_user"], day)
    assert (changed["audience"], changed["allowed_ips"]) == ([client_id], ["192.0.2.7"])
    assert "name\tnewer\n" in commands.text("token", "change", made["id"], "--name", "newer")


def test_what_is_not_named_stays(commands: Commands, create: Create) -> None:
    made = create("--description", "why")
    del made["token"]
    assert commands.json("token", "change", made["id"]) == made
    assert commands.actions() == ["user.created", "token.created"]


def test_a_token_is_never_widened(commands: Commands, create: Create) -> None:
    made = create("--expires-at", str(TODAY + timedelta(days=3)))
    for wider in (("--scope", "api"), ("--expires-at", str(TODAY + timedelta(days=4)))):
        sentence = commands.refusal("token", "change", made["id"], *wider)
        assert sentence.startswith("A token can only be narrowed; create a new one")


def test_rotation_ends_the_old_secret_and_gives_a_new_one(
    commands: Commands, create: Create
) -> None:
    old = create()
    day = str(TODAY + timedelta(days=5))
    new = commands.json("token", "rotate", old["id"], "--expires-at", day)
    assert (new["name"], new["scopes"], new["expires_at"]) == ("laptop", ["read_api"], day)
    assert commands.json("token", "introspect", given=old["token"]) == {"active": False}
    assert commands.json("token", "introspect", given=new["token"])["active"] is True
    assert commands.refusal("token", "rotate", old["id"]).startswith("Token already revoked")


def test_a_revoked_token_is_dead_and_may_be_revoked_again(
    commands: Commands, create: Create
) -> None:
    made = create()
    assert commands.text("token", "revoke", made["id"]) == f"Token {made['id']} is revoked.\n"
    assert commands.json("token", "revoke", made["id"])["revoked"] is True
    assert commands.json("token", "introspect", given=made["token"]) == {"active": False}
    assert commands.actions().count("token.revoked") == 1


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("verb", ["rotate", "revoke"])
def test_what_ends_a_secret_asks_on_a_terminal(
    commands: Commands, create: Create, verb: str
) -> None:
    token_id = create()["id"]
    done = commands.run("token", verb, token_id, given="n\n")
    assert (done.exit_code, done.stdout) == (1, "")
    assert commands.json("token", "show", token_id)["active"] is True
    assert commands.run("token", verb, token_id, "--yes").exit_code == 0
    assert commands.json("token", "show", token_id)["revoked"] is True


@pytest.mark.parametrize("verb", ["show", "change", "rotate", "revoke"])
def test_an_unknown_token_is_refused(commands: Commands, verb: str) -> None:
    expected = "Token was not found; `tokensrv token list` shows what there is."
    assert commands.refusal("token", verb, 999) == expected
