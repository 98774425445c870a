from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.conftest import START, ManualClock
from tests.factories import make_exchanged, make_token, make_user
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.services.directory import users
from tokensrv.services.lifecycle import tokens
from tokensrv.services.lifecycle.token_lists import TokenFilter
from tokensrv.services.pages import PageRequest
from tokensrv.services.records import UserRecord
from tokensrv.services.reports import inventory
from tokensrv.services.reports.inventory import Inventory
from tokensrv.services.trail.events import COMMAND_LINE
from tokensrv.services.trail.usage import Usage

TODAY = START.date()
DAY = timedelta(days=1)

# What is wanted, what is found, and how it is sorted.
FOUND: list[tuple[dict[str, Any], str, str]] = [
    ({}, "exchanged f e d c b a", "created_desc"),
    ({"is_active": True}, "exchanged f e b a", "created_desc"),
    ({"is_active": False}, "d c", "created_desc"),
    ({"is_revoked": True}, "d", "revoked_desc"),
    ({"is_expired": True, "is_revoked": False}, "c", "expires_desc"),
    ({"is_used": False}, "a c d e f exchanged", "last_used_asc"),
    ({"is_used": True}, "b", "last_used_asc"),
    ({"scope": "sudo"}, "a", "created_desc"),
    # As granted, not what is contained, and never a pattern.
    ({"scope": "read_api"}, "b", "created_desc"),
    ({"scope": "read%api"}, "", "created_desc"),
    ({"kind": TokenKind.IMPERSONATION}, "f", "created_desc"),
    ({"kind": TokenKind.EXCHANGED}, "exchanged", "created_desc"),
    ({"search": "XCH"}, "exchanged", "created_desc"),
    ({"expires_after": TODAY + 2 * DAY, "is_revoked": False}, "f e", "expires_asc"),
    ({"last_used_after": START}, "b", "last_used_desc"),
]


@pytest.fixture
def alice(store: Store, root: UserRecord) -> UserRecord:
    return make_user(store)


@pytest.fixture
def few(store: Store, root: UserRecord, alice: UserRecord, clock: ManualClock, usage: Usage) -> int:
    """Seven tokens of two users, a second apart; the clock stands a day later. Returns alice's id.

    ``b`` was used, ``c`` expired, ``d`` is revoked, ``e`` and ``f`` end on other days.
    """
    made = []
    for number, wanted in enumerate(
        (
            {"scopes": ("api", "sudo")},
            {"scopes": ("read_api",)},
            {"expires_on": TODAY + DAY},
            {"expires_on": TODAY + 3 * DAY},
            {"expires_on": TODAY + 5 * DAY},
            {"expires_on": TODAY + 4 * DAY, "kind": TokenKind.IMPERSONATION},
        )
    ):
        owner = root if number == 0 else alice
        made.append(make_token(store, owner, name="abcdef"[number], **wanted))
        clock.advance(seconds=1)
    make_exchanged(store, made[0], alice)
    usage.used(made[1].record.id, alice.id, None)
    usage.flush()
    tokens.revoke(store, COMMAND_LINE, made[3].record.id)
    clock.advance(seconds=86_400)
    return alice.id


def _find(store: Store, sort: str | None = None, **wanted: Any) -> Inventory:
    return inventory.find(store, TokenFilter(**wanted), sort=sort)


def _names(found: Inventory) -> str:
    return " ".join(token.name for token in found.page.items)


def test_what_is_found_comes_in_the_order_that_fits(store: Store, few: int) -> None:
    found = [(_find(store, **wanted), names, sort) for wanted, names, sort in FOUND]
    assert [(_names(one), one.sort) for one, _, _ in found] == [
        (names, sort) for _, names, sort in FOUND
    ]
    assert [one.page.total for one, _, _ in found] == [len(names.split()) for _, names, _ in FOUND]
    assert not any(one.is_capped for one, _, _ in found)


def test_of_one_owner_only_his_are_found_in_any_order(store: Store, few: int) -> None:
    assert _names(_find(store, user_id=few)) == "exchanged f e d c b"
    assert _names(_find(store, "name_asc", user_id=few, is_active=True)) == "b e exchanged f"
    assert _names(_find(store, "expires_desc", user_id=few, is_revoked=False)).startswith("e f c")


def test_an_order_that_nobody_knows_is_the_fitting_one(store: Store, few: int) -> None:
    for sort in ("digest_asc", "name", "name_up", ""):
        assert _find(store, sort).sort == "created_desc"


def test_a_page_comes_with_the_names_of_the_owners(
    store: Store, root: UserRecord, few: int
) -> None:
    found = inventory.find(store, TokenFilter(), page=PageRequest(1, 2))
    assert (_names(found), found.page.has_next, found.page.total) == ("exchanged f", True, 7)
    assert found.owners == {few: "alice"}
    last = inventory.find(store, TokenFilter(), page=PageRequest(4, 2))
    assert (_names(last), last.owners) == ("a", {root.id: "root"})


def test_no_more_are_looked_through_than_is_told(
    store: Store, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "LOOKED_THROUGH", 3)
    newest = _find(store, is_active=True)
    assert (_names(newest), newest.is_capped, newest.page.total) == ("exchanged f e", True, 3)
    # What is a stretch of the order counts as little as what stands behind it.
    assert _names(_find(store, expires_after=TODAY + 2 * DAY)) == "d f e"
    assert not _find(store, expires_after=TODAY + 2 * DAY).is_capped
    his = _find(store, "name_asc", user_id=few)
    assert (_names(his), his.is_capped) == ("e exchanged f", True)


def test_an_export_goes_on_where_a_page_ends(
    store: Store, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "_PORTION", 2)
    found = list(inventory.each(store, TokenFilter(is_active=True)))
    assert [(entry.token.name, entry.owner) for entry in found] == [
        ("a", "root"),
        ("b", "alice"),
        ("e", "alice"),
        ("f", "alice"),
        ("exchanged", "alice"),
    ]
    his = inventory.each(store, TokenFilter(user_id=few, is_revoked=True))
    assert [entry.token.name for entry in his] == ["d"]


def test_an_export_holds_nothing_between_its_portions(
    store: Store, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "_PORTION", 2)
    found = inventory.each(store, TokenFilter())
    assert next(found).token.name == "a"
    # It would be in the way of this, or be shown what is gone.
    users.delete(store, COMMAND_LINE, few)
    assert [entry.token.name for entry in found] == ["b"]


def test_an_instance_without_tokens_has_an_empty_inventory(store: Store) -> None:
    assert list(inventory.each(store, TokenFilter())) == []
    assert _find(store).page.total == 0


def test_those_that_are_picked_come_by_their_ids(store: Store, few: int) -> None:
    ids = [token.id for token in _find(store).page.items]
    picked = inventory.pick(store, {ids[0], ids[-1], 987_654})
    assert [(entry.token.name, entry.owner) for entry in picked] == [
        ("a", "root"),
        ("exchanged", "alice"),
    ]
    assert inventory.pick(store, set()) == ()
