from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import START, ManualClock
from tests.factories import caller_of, make_token, make_user
from tokensrv.clock import midnight
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.services.lifecycle import tokens
from tokensrv.services.lifecycle.token_lists import TokenFilter, list_tokens
from tokensrv.services.pages import PageRequest
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE
from tokensrv.services.trail.usage import Usage

TODAY = START.date()
SECOND = timedelta(seconds=1)


@pytest.fixture
def alice(store: Store, root: UserRecord) -> UserRecord:
    return make_user(store)


@pytest.fixture
def three(store: Store, alice: UserRecord, clock: ManualClock, usage: Usage) -> datetime:
    """Three tokens, a second apart; the first never used nor expiring, the last revoked.

    Returns the moment of the second.
    """
    make_token(store, alice, name="One")
    clock.advance(seconds=1)
    second = make_token(store, alice, name="two_%", expires_on=TODAY + timedelta(days=2)).record
    usage.used(second.id, alice.id, None)
    usage.flush()
    clock.advance(seconds=1)
    third = make_token(store, alice, name="three", expires_on=TODAY + timedelta(days=3)).record
    usage.used(third.id, alice.id, None)
    usage.flush()
    tokens.revoke(store, COMMAND_LINE, third.id)
    return START + SECOND


def _names(store: Store, sort: str | None = None, **wanted: Any) -> list[str]:
    return [
        token.name for token in list_tokens(store, None, TokenFilter(**wanted), sort=sort).items
    ]


def test_without_filters_all_come_in_the_order_of_their_ids(store: Store, three: datetime) -> None:
    assert _names(store) == ["One", "two_%", "three"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param({"is_revoked": True}, ["three"], id="revoked"),
        pytest.param({"is_revoked": False}, ["One", "two_%"], id="not revoked"),
        pytest.param({"is_active": True}, ["One", "two_%"], id="active"),
        pytest.param({"is_active": False}, ["three"], id="inactive"),
        pytest.param({"search": "TWO"}, ["two_%"], id="any case"),
        pytest.param({"search": "_"}, ["two_%"], id="underscore is a letter"),
        pytest.param({"search": "%"}, ["two_%"], id="percent is a letter"),
        pytest.param({"search": "e"}, ["One", "three"], id="part of a name"),
        pytest.param({"kind": TokenKind.IMPERSONATION}, [], id="kind"),
    ],
)
def test_filters(store: Store, three: datetime, wanted: dict[str, Any], found: list[str]) -> None:
    assert _names(store, **wanted) == found


def test_creation_is_inclusive_on_both_sides(store: Store, three: datetime) -> None:
    assert _names(store, created_before=three) == ["One", "two_%"]
    assert _names(store, created_after=three) == ["two_%", "three"]


def test_last_use_is_inclusive_and_never_used_tokens_match_neither_side(
    store: Store, three: datetime
) -> None:
    assert _names(store, last_used_before=three) == ["two_%"]
    assert _names(store, last_used_after=three) == ["two_%", "three"]
    assert _names(store, last_used_before=three + timedelta(days=9)) == ["two_%", "three"]


def test_expiry_is_strict_before_and_inclusive_after(store: Store, three: datetime) -> None:
    day = TODAY + timedelta(days=3)
    assert _names(store, expires_before=day) == ["two_%"]
    assert _names(store, expires_after=day) == ["three"]
    assert _names(store, expires_before=date.max) == ["two_%", "three"]
    assert _names(store, expires_after=date.min) == ["two_%", "three"]


def test_filters_are_combined(store: Store, three: datetime) -> None:
    assert _names(store, created_after=three, is_revoked=False) == ["two_%"]


def test_at_its_day_a_token_is_inactive(store: Store, three: datetime, clock: ManualClock) -> None:
    end = midnight(TODAY + timedelta(days=2))
    clock.set(end - timedelta(milliseconds=1))
    assert _names(store, is_active=True) == ["One", "two_%"]
    clock.set(end)
    assert _names(store, is_active=True) == ["One"]
    assert _names(store, is_active=False) == ["two_%", "three"]


@pytest.mark.parametrize(
    ("sort", "found"),
    [
        ("created_asc", ["One", "two_%", "three"]),
        ("created_desc", ["three", "two_%", "One"]),
        ("expires_asc", ["One", "two_%", "three"]),
        ("expires_desc", ["three", "two_%", "One"]),
        ("expires_soonest", ["two_%", "three", "One"]),
        ("last_used_asc", ["One", "two_%", "three"]),
        ("last_used_desc", ["three", "two_%", "One"]),
        ("name_desc", ["two_%", "three", "One"]),
        ("digest_desc", ["One", "two_%", "three"]),
        ("created", ["One", "two_%", "three"]),
        ("", ["One", "two_%", "three"]),
    ],
)
def test_sorts(store: Store, three: datetime, sort: str, found: list[str]) -> None:
    assert _names(store, sort) == found


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_ties_are_broken_by_id_in_the_same_direction(
    store: Store, alice: UserRecord, direction: str
) -> None:
    ids = [make_token(store, alice, name="same").record.id for _ in range(4)]
    for name in ("created", "expires", "last_used", "name"):
        page = list_tokens(store, None, TokenFilter(), sort=f"{name}_{direction}")
        assert [token.id for token in page.items] == (ids if direction == "asc" else ids[::-1])


def test_a_user_lists_his_own_personal_tokens_whatever_he_filters_by(
    store: Store, alice: UserRecord, root: UserRecord
) -> None:
    own = make_token(store, alice)
    make_token(store, alice, kind=TokenKind.IMPERSONATION)
    make_token(store, root)
    caller = caller_of(store, own.secret)
    for wanted in (TokenFilter(), TokenFilter(user_id=alice.id)):
        assert [t.id for t in list_tokens(store, caller, wanted).items] == [own.record.id]
    for wanted in (TokenFilter(user_id=root.id), TokenFilter(kind=TokenKind.IMPERSONATION)):
        assert list_tokens(store, caller, wanted).items == ()


def test_an_admin_lists_everybodys_tokens_impersonation_included(
    store: Store, alice: UserRecord, root: UserRecord
) -> None:
    hidden = make_token(store, alice, kind=TokenKind.IMPERSONATION).record
    caller = caller_of(store, make_token(store, root).secret)
    assert len(list_tokens(store, caller, TokenFilter()).items) == 2
    (found,) = list_tokens(store, caller, TokenFilter(user_id=alice.id)).items
    assert found.id == hidden.id


def test_under_sudo_the_list_is_the_subjects(
    store: Store, alice: UserRecord, root: UserRecord
) -> None:
    own = make_token(store, alice).record
    caller = caller_of(store, make_token(store, root, ("sudo",)).secret, sudo="alice")
    assert [token.id for token in list_tokens(store, caller, TokenFilter()).items] == [own.id]


def test_pages_hold_everything_once(store: Store, alice: UserRecord) -> None:
    ids = [make_token(store, alice).record.id for _ in range(5)]
    pages = [
        list_tokens(store, None, TokenFilter(), page=PageRequest(page, 2)) for page in range(1, 5)
    ]
    assert [[token.id for token in page.items] for page in pages] == [
        ids[:2],
        ids[2:4],
        ids[4:],
        [],
    ]
    assert [page.has_next for page in pages] == [True, True, False, False]
    assert {page.total for page in pages} == {5}
