from __future__ import annotations

from datetime import timedelta

import pytest

from tests.conftest import START, ManualClock, QueryRecorder
from tests.factories import make_exchanged, make_token, make_user
from tokensrv.clock import midnight
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.services.lifecycle import tokens
from tokensrv.services.reports import token_statistics as statistics
from tokensrv.services.reports.token_statistics import TokenStatistics, token_statistics
from tokensrv.services.trail.events import COMMAND_LINE

TODAY = START.date()


def test_nothing_is_counted_where_nothing_is(store: Store) -> None:
    user = make_user(store)
    assert token_statistics(store, user.id) == TokenStatistics(0, 0, 0, 0, is_complete=True)


def test_each_token_is_in_one_state_and_may_expire_soon(store: Store, clock: ManualClock) -> None:
    user = make_user(store)
    days = {"never": None, "over": 1, "soon": 14, "late": 15}
    for name, day in days.items():
        ends = None if day is None else TODAY + timedelta(days=day)
        make_token(store, user, name=name, expires_on=ends)
    for day in (1, 14, None):
        ends = None if day is None else TODAY + timedelta(days=day)
        tokens.revoke(store, COMMAND_LINE, make_token(store, user, expires_on=ends).record.id)
    clock.set(midnight(TODAY + timedelta(days=1)))
    # Seen from that day, "late" is the first that does not expire soon.
    assert statistics.soon(TODAY + timedelta(days=1)) == TODAY + timedelta(days=15)
    assert token_statistics(store, user.id) == TokenStatistics(
        active=3, expiring=1, revoked=3, expired=1, is_complete=True
    )


def test_only_his_own_personal_tokens_count(store: Store) -> None:
    user, other = make_user(store), make_user(store, "bob")
    own = make_token(store, user)
    make_token(store, user, kind=TokenKind.IMPERSONATION)
    make_exchanged(store, own, user)
    make_token(store, other)
    assert token_statistics(store, user.id).active == 1


def test_of_very_many_the_latest_are_counted_in_one_query(
    store: Store, query_recorder: QueryRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "MAX_COUNTED", 2)
    user = make_user(store)
    tokens.revoke(store, COMMAND_LINE, make_token(store, user).record.id)
    for _ in range(2):
        make_token(store, user)
    query_recorder.clear()
    assert token_statistics(store, user.id) == TokenStatistics(2, 0, 1, 0, is_complete=False)
    assert len(query_recorder.statements) == 1
    make_token(store, user)
    assert token_statistics(store, user.id).revoked == 0
