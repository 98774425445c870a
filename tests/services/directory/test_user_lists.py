from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.conftest import START, ManualClock
from tests.factories import make_totp, make_user
from tokensrv.db import Store
from tokensrv.domain.facts import UserState
from tokensrv.services.directory import user_states
from tokensrv.services.directory.user_lists import ORDERS, UserFilter, list_users, list_users_after
from tokensrv.services.pages import Key, PageRequest
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

LATER = START + timedelta(seconds=1)


@pytest.fixture
def people(store: Store, root: UserRecord, clock: ManualClock) -> None:
    clock.advance(seconds=1)
    alice = make_user(store, "alice", name="Zoe_%", profile={"public_email": "zoe@example.com"})
    make_totp(store, alice)
    clock.advance(seconds=1)
    blocked = make_user(store, "Bob", name="bob", profile={"external": True})
    user_states.block(store, COMMAND_LINE, blocked.id)
    gone = make_user(store, "carol", name="Carol")
    user_states.deactivate(store, COMMAND_LINE, gone.id)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param({}, ["root", "alice", "Bob", "carol"], id="all"),
        pytest.param({"username": "BOB"}, ["Bob"], id="username in any case"),
        pytest.param({"username": "bo"}, [], id="the whole username"),
        pytest.param({"search": "ali"}, ["alice"], id="part of a username"),
        pytest.param({"search": "zOE"}, ["alice"], id="part of a name in any case"),
        pytest.param({"search": "_%"}, ["alice"], id="signs are letters"),
        pytest.param({"search": "zoe@example.com"}, ["alice"], id="a public address"),
        pytest.param({"search": "zoe@example"}, [], id="the whole address"),
        pytest.param({"search": "bob@example.org"}, [], id="a private address is private"),
        pytest.param(
            {"search": "BOB@example.org", "by_private_email": True}, ["Bob"], id="but for admins"
        ),
        pytest.param({"is_active": True}, ["root", "alice"], id="active"),
        pytest.param({"is_active": False}, ["Bob", "carol"], id="not active"),
        pytest.param({"is_blocked": True}, ["Bob"], id="blocked"),
        pytest.param({"is_blocked": False}, ["root", "alice", "carol"], id="not blocked"),
        pytest.param({"is_external": True}, ["Bob"], id="external"),
        pytest.param({"is_external": False}, ["root", "alice", "carol"], id="not external"),
        pytest.param({"only_admins": True}, ["root"], id="admins"),
        pytest.param({"state": UserState.DEACTIVATED}, ["carol"], id="deactivated"),
        pytest.param({"has_two_factor": True}, ["alice"], id="with a second factor"),
        pytest.param({"has_two_factor": False}, ["root", "Bob", "carol"], id="without one"),
        pytest.param(
            {"created_after": START + timedelta(seconds=1), "is_active": True},
            ["alice"],
            id="after",
        ),
        pytest.param(
            {"created_before": START + timedelta(seconds=1)}, ["root", "alice"], id="before"
        ),
    ],
)
def test_filters(store: Store, people: None, wanted: dict[str, Any], found: list[str]) -> None:
    page = list_users(store, UserFilter(**wanted), is_descending=False)
    assert [user.username for user in page.items] == found


@pytest.mark.parametrize(
    ("order_by", "found"),
    [
        ("id", ["root", "alice", "Bob", "carol"]),
        ("username", ["alice", "Bob", "carol", "root"]),
        ("created_at", ["root", "alice", "Bob", "carol"]),
    ],
)
def test_orders(store: Store, people: None, order_by: str, found: list[str]) -> None:
    for is_descending in (False, True):
        page = list_users(store, UserFilter(), order_by=order_by, is_descending=is_descending)
        names = [user.username for user in page.items]
        assert names == (found[::-1] if is_descending else found)


@pytest.mark.parametrize("is_descending", [True, False], ids=["desc", "asc"])
@pytest.mark.parametrize("order_by", sorted(ORDERS))
def test_pages_by_key_hold_everybody_once_although_many_are_equal(
    store: Store, people: None, order_by: str, is_descending: bool
) -> None:
    for number in range(7):
        make_user(store, f"same{number}", name="Same")
    whole = list_users(
        store,
        UserFilter(),
        order_by=order_by,
        is_descending=is_descending,
        page=PageRequest(1, 100),
    )
    seen: list[int] = []
    after: Key | None = None
    for _ in range(4):
        part, after = list_users_after(
            store,
            UserFilter(),
            order_by=order_by,
            is_descending=is_descending,
            after=after,
            limit=3,
        )
        seen += [user.id for user in part]
    assert after is None
    assert seen == [user.id for user in whole.items]


def test_a_page_by_key_is_not_moved_by_those_who_come_and_go(store: Store, people: None) -> None:
    first, after = list_users_after(
        store, UserFilter(), order_by="id", is_descending=False, after=None, limit=2
    )
    make_user(store, "dave")
    rest, after = list_users_after(
        store, UserFilter(), order_by="id", is_descending=False, after=after, limit=9
    )
    assert [user.username for user in (*first, *rest)] == ["root", "alice", "Bob", "carol", "dave"]
    assert after is None
