"""That an assertion is good once: on SQLite and PostgreSQL, in sequence and at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from tests.conftest import START, ManualClock
from tests.services.conftest import at_once, contents
from tokensrv.db import Store
from tokensrv.models import Assertion
from tokensrv.services import assertions

END = START + timedelta(minutes=1)


def remembered(store: Store) -> int:
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(Assertion)) or 0


@pytest.mark.rfc7523("3")
def test_an_assertion_is_used_once(store: Store) -> None:
    assert assertions.use(store, "service", "one", END)
    assert not assertions.use(store, "service", "one", END)
    assert not assertions.use(store, "service", "one", END + timedelta(hours=1))
    assert assertions.use(store, "service", "two", END)


def test_two_clients_may_have_the_same_id_for_theirs(store: Store) -> None:
    assert assertions.use(store, "service", "one", END)
    assert assertions.use(store, "other", "one", END)


@pytest.mark.rfc7523("3")
def test_of_many_uses_at_once_one_is_good(store: Store) -> None:
    found = at_once([lambda: assertions.use(store, "service", "one", END)] * 8)
    assert sorted(found) == [False] * 7 + [True]


def test_the_id_itself_is_not_stored(store: Store) -> None:
    assert assertions.use(store, "service", "jti-that-nobody-needs", END)
    assert "jti-that-nobody-needs" not in str(contents(store))


def test_what_has_expired_is_forgotten_later_than_any_clock_would_accept_it(
    store: Store, clock: ManualClock
) -> None:
    assert assertions.use(store, "service", "one", END)
    clock.advance(seconds=60 + 299)
    assert not assertions.use(store, "service", "one", END)
    clock.advance(seconds=1)
    assert assertions.use(store, "service", "two", END + timedelta(hours=1))
    assert remembered(store) == 1


def test_a_backlog_is_removed_in_parts_without_losing_what_counts(
    store: Store, clock: ManualClock
) -> None:
    with store.write() as session:
        session.add_all(
            Assertion(client_id="old", jti_digest=number.to_bytes(32, "big"), expires_at=START)
            for number in range(250)
        )
    clock.advance(seconds=1)
    for left in (151, 52, 3, 4):
        assert assertions.use(store, "service", f"still {left}", END + timedelta(hours=1))
        assert remembered(store) == left
