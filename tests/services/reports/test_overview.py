"""The overview: what is counted, of what, and what is said where there is too much to count."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.conftest import START, ManualClock, QueryRecorder
from tests.factories import make_exchanged, make_token, make_user
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.models import Tally
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import UserRecord
from tokensrv.services.reports import overview
from tokensrv.services.trail.events import COMMAND_LINE

TODAY = START.date()
DAY = timedelta(days=1)
EMPTY = {"active": 0, "expired": 0, "revoked": 0}


@pytest.fixture
def alice(store: Store, root: UserRecord) -> UserRecord:
    return make_user(store)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "MAX_TOKENS", 3)
    monkeypatch.setattr(overview, "MAX_EXPIRING", 3)


def _token(store: Store, user: UserRecord, **wanted: Any) -> int:
    return make_token(store, user, **wanted).record.id


def _tally(store: Store, counts: dict[str, int], *, before: timedelta = timedelta()) -> None:
    hour = START.replace(minute=0) - before
    with store.write() as session:
        session.add_all(Tally(hour=hour, name=name, count=n) for name, n in counts.items())


def test_tokens_are_counted_by_kind_and_state(
    store: Store, alice: UserRecord, clock: ManualClock
) -> None:
    _token(store, alice)
    _token(store, alice, expires_on=TODAY + DAY)
    revoked = _token(store, alice, expires_on=TODAY + DAY)
    tokens.revoke(store, COMMAND_LINE, revoked)
    source = make_token(store, alice, kind=TokenKind.IMPERSONATION)
    make_exchanged(store, source, alice, expires_at=START + timedelta(minutes=5))
    clock.advance(seconds=86_400)
    found = overview.tokens(store)
    assert found.by_kind == {
        "personal": {"active": 1, "expired": 1, "revoked": 1},
        "impersonation": EMPTY | {"active": 1},
        "exchanged": EMPTY | {"expired": 1},
    }
    assert [found.total(state) for state in overview.STATES] == [2, 2, 1]
    assert not found.is_capped


def test_active_tokens_are_counted_by_age(
    store: Store, alice: UserRecord, clock: ManualClock
) -> None:
    for _ in range(6):
        _token(store, alice)
    assert overview.tokens(store).ages == (6, 0, 0, 0, 0)
    for days, ages in [
        (7, (0, 6, 0, 0, 0)),
        (30, (0, 0, 6, 0, 0)),
        (90, (0, 0, 0, 6, 0)),
        (365, (0, 0, 0, 0, 6)),
    ]:
        clock.set(START + days * DAY)
        assert overview.tokens(store).ages == ages


@pytest.mark.usefixtures("few")
def test_of_too_many_tokens_the_latest_are_counted(store: Store, alice: UserRecord) -> None:
    tokens.revoke(store, COMMAND_LINE, _token(store, alice))
    _token(store, alice)
    assert not overview.tokens(store).is_capped
    for _ in range(2):
        _token(store, alice)
    found = overview.tokens(store)
    assert (found.total("active"), found.total("revoked")) == (3, 0)
    assert found.is_capped


def test_tokens_that_end_are_counted_by_day(store: Store, alice: UserRecord) -> None:
    for days in (1, 60, 60, 61):
        _token(store, alice, expires_on=TODAY + days * DAY)
    _token(store, alice)
    tokens.revoke(store, COMMAND_LINE, _token(store, alice, expires_on=TODAY + DAY))
    source = make_token(store, alice)
    make_exchanged(store, source, alice, expires_at=START + DAY)
    days = dict(overview.expiring(store).days)
    assert list(days) == [TODAY + number * DAY for number in range(1, 61)]
    assert {day: count for day, count in days.items() if count} == {
        TODAY + DAY: 1,
        TODAY + 60 * DAY: 2,
    }


@pytest.mark.usefixtures("few")
def test_days_that_were_not_reached_are_not_claimed_to_be_empty(
    store: Store, alice: UserRecord
) -> None:
    for days in (1, 2, 2, 2, 3):
        _token(store, alice, expires_on=TODAY + days * DAY)
    counts = [count for _, count in overview.expiring(store).days]
    assert counts == [1] + [None] * 59


def test_a_week_of_introspections_is_counted_by_the_hour(store: Store) -> None:
    _tally(
        store, {"introspection.active": 5, "introspection.expired": 2, "introspection.wanted": 1}
    )
    _tally(store, {"introspection.active": 7}, before=6 * DAY + timedelta(hours=12))
    _tally(store, {"introspection.active": 9}, before=6 * DAY + timedelta(hours=13))
    hours = overview.activity(store).hours
    assert len(hours) == 6 * 24 + 13
    assert (hours[0].hour, hours[-1].hour) == (START - 6 * DAY - timedelta(hours=12), START)
    assert (hours[0].active, hours[0].inactive) == (7, 0)
    assert (hours[-1].active, hours[-1].inactive) == (5, 3)
    assert sum(hour.active + hour.inactive for hour in hours) == 15


def test_sudo_is_counted_by_the_day(store: Store) -> None:
    _tally(store, {"sudo.used": 3, "sudo.admin": 1, "sudo.scope": 1})
    _tally(store, {"sudo.used": 4}, before=timedelta(hours=1))
    _tally(store, {"sudo.used": 1}, before=timedelta(hours=13))
    days = overview.activity(store).sudos
    assert [day.day for day in days] == [TODAY - number * DAY for number in range(6, -1, -1)]
    assert [(day.used, day.refused) for day in days[-3:]] == [(0, 0), (1, 0), (7, 2)]


def test_refusals_are_counted_once_by_reason_the_most_frequent_first(store: Store) -> None:
    _tally(store, {"introspection.active": 99, "introspection.unknown": 3, "sudo.used": 50})
    _tally(store, {"introspection.unknown": 2, "introspection.revoked": 4}, before=DAY)
    # A client asked about two of the six.
    _tally(store, {"introspection.target_admin": 2, "sudo.target_admin": 6}, before=2 * DAY)
    assert overview.activity(store).refusals == (
        ("target_admin", 6),
        ("unknown", 5),
        ("revoked", 4),
    )


def test_each_part_is_one_query(store: Store, query_recorder: QueryRecorder) -> None:
    for part in (overview.tokens, overview.expiring, overview.activity):
        query_recorder.clear()
        part(store)
        assert len(query_recorder.statements) == 1
