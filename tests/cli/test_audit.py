"""`tokensrv audit`."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Commands
from tests.factories import make_admin, make_token, make_user, origin_of
from tokensrv.db import Store
from tokensrv.services.directory import user_states
from tokensrv.services.lifecycle import tokens

MEMBERS = [
    "seq",
    "at",
    "action",
    "actor_id",
    "actor",
    "subject_id",
    "subject",
    "token_id",
    "client_id",
    "ip",
    "request_id",
    "reason",
    "data",
    "prev_hash",
    "hash",
]


@pytest.fixture
def clients(commands: Commands) -> list[str]:
    """Three clients, made one after the other: as many events."""
    return [
        commands.json("client", "create", name)["client_id"] for name in ("one", "two", "three")
    ]


def test_an_event_shows_all_its_columns(commands: Commands, clients: list[str]) -> None:
    first, second, _ = commands.json("audit", "list")
    assert list(first) == MEMBERS
    assert (first["seq"], first["action"], first["client_id"]) == (1, "client.created", clients[0])
    assert (first["actor"], first["subject"], first["data"]["via"]) == (None, None, "cli")
    assert second["prev_hash"] == first["hash"]
    assert first["at"].endswith("Z")


@pytest.mark.usefixtures("clients")
@pytest.mark.parametrize(
    ("options", "found"),
    [
        pytest.param((), [1, 2, 3], id="all"),
        pytest.param(("--limit", 2), [2, 3], id="the last ones"),
        pytest.param(("--since", 1), [2, 3], id="after one"),
        pytest.param(("--since", 0, "--limit", 1), [1], id="the first after one"),
        pytest.param(("--since", 2**63 - 1), [], id="after the last possible"),
        pytest.param(("--action", "client.created"), [1, 2, 3], id="action"),
        pytest.param(("--action", "client"), [], id="not a part of an action"),
        pytest.param(("--actor", "root"), [], id="actor"),
        pytest.param(("--subject", "1"), [], id="subject"),
    ],
)
def test_events_are_filtered_and_the_oldest_comes_first(
    commands: Commands, options: tuple[object, ...], found: list[int]
) -> None:
    assert [event["seq"] for event in commands.json("audit", "list", *options)] == found


def test_people_see_who_did_what(commands: Commands, store: Store) -> None:
    root, alice = make_admin(store), make_user(store)
    token = make_token(store, root, ("sudo",))
    commands.json("token", "introspect", "--sudo", "alice", given=token.secret)
    origin = origin_of(store, token.secret, sudo="alice", reason="ticket 7")
    own = make_token(store, alice).record.id
    tokens.revoke(store, origin, own)
    origin = origin_of(store, make_token(store, root).secret)
    user_states.block(store, origin, alice.id)
    head, *lines = commands.text("audit", "list").splitlines()
    assert head.split("\t") == ["seq", "at", "action", "who", "what"]
    rows = {line.split("\t")[2]: line.split("\t")[3:] for line in lines}
    assert rows["user.created"] == ["cli", f"user_id={alice.id} username=alice is_admin=off"]
    assert rows["sudo.used"][0] == "root as alice"
    revoked = f"token={own} ip=192.0.2.7 user_id={alice.id} reason=ticket 7"
    assert rows["token.revoked"] == ["root as alice", revoked]
    assert rows["user.blocked"][0] == "root"


@pytest.mark.parametrize(
    "options", [("--limit", "0"), ("--limit", "x"), ("--since", "-1"), ("--since", str(2**63))]
)
def test_numbers_out_of_range_are_usage_errors(
    commands: Commands, options: tuple[str, ...]
) -> None:
    assert commands.run("audit", "list", *options).exit_code == 2
