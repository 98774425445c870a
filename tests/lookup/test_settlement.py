from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from typing import Any

import pytest

from tests.conftest import ManualClock
from tests.databases import connect, opened
from tests.db.conftest import wait_until
from tests.db.proxy import Proxy
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.errors import StorageUnavailable
from tokensrv.lookup.settlement import settlement_of
from tokensrv.services.freshness import settled
from tokensrv.services.trail.events import COMMAND_LINE, NewEvent, append

pytestmark = pytest.mark.postgres

LEASE_SECONDS = 2.0
# Several polls fit into it.
A_WHILE = 0.1


@pytest.fixture
def store(settings: Settings, clock: ManualClock) -> Iterator[Store]:
    patient = dataclasses.replace(settings, lease_seconds=LEASE_SECONDS, threads=4)
    with opened(patient, clock) as store:
        yield store


@pytest.fixture
def pool(clock: ManualClock) -> Iterator[ThreadPoolExecutor]:
    """Threads for those who wait, who wait no longer once the test is over."""
    with ThreadPoolExecutor(8) as pool:
        yield pool
        clock.advance(seconds=100)


def _run(settings: Settings, statement: str, *values: Any) -> list[Any]:
    with connect(settings.database_url) as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def _register(settings: Settings, *, acked_seq: int, lease_ms: int = 2000) -> str:
    lease_id = uuid.uuid4().hex
    row = (lease_id, acked_seq, lease_ms)
    _run(settings, "INSERT INTO cache_lease VALUES (%s, %s, %s, 'a node', 0)", *row)
    return lease_id


def _registered(settings: Settings) -> list[str]:
    return [row[0] for row in _run(settings, "SELECT lease_id FROM cache_lease")]


def _head(settings: Settings) -> int:
    return int(_run(settings, "SELECT seq FROM event_head")[0][0])


def _change(store: Store) -> str:
    with settled(store) as session:
        event = NewEvent(action="user.blocked", data={"user_id": 1})
        append(session, store.clock, COMMAND_LINE, [event])
    return "answered"


def _change_nothing(store: Store) -> str:
    with settled(store):
        pass
    return "answered"


def _begun(store: Store, pool: ThreadPoolExecutor) -> Future[str]:
    """Return a change whose wait has begun: its clock runs before it first asks the database."""
    change = pool.submit(_change, store)
    wait_until(lambda: change.done() or settlement_of(store).polls)
    return change


def _is_waiting(change: Future[str]) -> bool:
    with suppress(NotYet):
        change.result(A_WHILE)
    return not change.done()


def test_where_nobody_is_registered_nobody_waits(store: Store) -> None:
    assert _change(store) == "answered"


def test_whoever_has_acknowledged_is_not_waited_for(store: Store, settings: Settings) -> None:
    _register(settings, acked_seq=1)
    assert _change(store) == "answered"


def test_an_acknowledgement_ends_the_wait(
    store: Store, settings: Settings, pool: ThreadPoolExecutor
) -> None:
    lease_id = _register(settings, acked_seq=0)
    change = pool.submit(_change, store)
    assert _is_waiting(change)
    _run(settings, "UPDATE cache_lease SET acked_seq = 1")
    assert change.result(5) == "answered"
    assert _registered(settings) == [lease_id]


def test_whoever_does_not_acknowledge_is_waited_for_one_lease_and_never_again(
    store: Store, settings: Settings, clock: ManualClock, pool: ThreadPoolExecutor
) -> None:
    _register(settings, acked_seq=0)
    lively = _register(settings, acked_seq=99)
    change = _begun(store, pool)
    assert _is_waiting(change)
    clock.advance(seconds=LEASE_SECONDS - 0.01)
    assert _is_waiting(change)
    clock.advance(seconds=0.01)
    assert change.result(5) == "answered"
    assert _registered(settings) == [lively]
    assert _change(store) == "answered"


def test_the_longest_lease_of_those_who_are_behind_counts(
    store: Store, settings: Settings, clock: ManualClock, pool: ThreadPoolExecutor
) -> None:
    _register(settings, acked_seq=0, lease_ms=5000)
    _register(settings, acked_seq=99, lease_ms=60_000)
    change = _begun(store, pool)
    assert _is_waiting(change)
    clock.advance(seconds=4.99)
    assert _is_waiting(change)
    clock.advance(seconds=0.01)
    assert change.result(5) == "answered"


def test_ones_own_lease_is_waited_for_even_if_the_others_is_shorter(
    store: Store, settings: Settings, clock: ManualClock, pool: ThreadPoolExecutor
) -> None:
    _register(settings, acked_seq=0, lease_ms=200)
    change = _begun(store, pool)
    assert _is_waiting(change)
    clock.advance(seconds=LEASE_SECONDS - 0.01)
    assert _is_waiting(change)
    clock.advance(seconds=0.01)
    assert change.result(5) == "answered"


def test_whoever_comes_later_is_done_with_whoever_came_first(
    store: Store, settings: Settings, clock: ManualClock, pool: ThreadPoolExecutor
) -> None:
    _register(settings, acked_seq=0)
    first = _begun(store, pool)
    assert _is_waiting(first)
    clock.advance(seconds=LEASE_SECONDS / 2)
    second = pool.submit(_change, store)
    assert _is_waiting(second)
    clock.advance(seconds=LEASE_SECONDS / 2)
    assert [first.result(5), second.result(5)] == ["answered"] * 2


def test_whoever_finds_nothing_to_change_waits_too(
    store: Store, settings: Settings, pool: ThreadPoolExecutor
) -> None:
    _register(settings, acked_seq=0)
    changes = [pool.submit(_change, store)]
    assert _is_waiting(changes[0])
    changes.append(pool.submit(_change_nothing, store))
    assert _is_waiting(changes[1])
    _run(settings, "UPDATE cache_lease SET acked_seq = 1")
    assert [change.result(5) for change in changes] == ["answered"] * 2


def test_whoever_finds_half_of_the_threads_waiting_changes_nothing(
    store: Store, settings: Settings, pool: ThreadPoolExecutor
) -> None:
    _register(settings, acked_seq=0)
    changes = [pool.submit(_change, store) for _ in range(2)]
    wait_until(lambda: _head(settings) == 2)
    with pytest.raises(StorageUnavailable):
        _change(store)
    assert _head(settings) == 2
    _run(settings, "UPDATE cache_lease SET acked_seq = 2")
    assert [change.result(5) for change in changes] == ["answered"] * 2
    assert pool.submit(_change_nothing, store).result(5) == "answered"


def test_a_place_is_given_back_by_whoever_fails(store: Store) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), settled(store):
            raise ZeroDivisionError
    assert _change(store) == "answered"


def test_those_who_wait_hold_no_connection(
    store: Store, settings: Settings, pool: ThreadPoolExecutor
) -> None:
    _register(settings, acked_seq=0)
    changes = [pool.submit(_change, store) for _ in range(2)]
    wait_until(lambda: _head(settings) == 2)
    wait_until(lambda: store.engine.pool.checkedout() == 0)  # type: ignore[attr-defined]
    assert not any(change.done() for change in changes)


def test_on_a_server_that_may_have_lost_leases_only_time_counts_and_that_once(
    store: Store, settings: Settings, clock: ManualClock, pool: ThreadPoolExecutor
) -> None:
    _run(settings, "UPDATE cache_server SET identity = 'the server before'")
    lively = _register(settings, acked_seq=99)
    change = _begun(store, pool)
    assert _is_waiting(change)
    clock.advance(seconds=LEASE_SECONDS - 0.01)
    assert _is_waiting(change)
    assert _run(settings, "SELECT identity FROM cache_server") == [("the server before",)]
    clock.advance(seconds=0.01)
    assert change.result(5) == "answered"
    assert _run(settings, "SELECT identity FROM cache_server") != [("the server before",)]
    assert _registered(settings) == [lively]
    assert _change(store) == "answered"


def test_without_the_database_nobody_is_told_that_it_is_done(
    settings: Settings, clock: ManualClock, pool: ThreadPoolExecutor
) -> None:
    proxy = Proxy(settings.database_url)
    distant = dataclasses.replace(
        settings,
        database_url=proxy.url,
        lease_seconds=LEASE_SECONDS,
        storage_timeout_seconds=1,
    )
    _register(settings, acked_seq=0)
    try:
        with opened(distant, clock) as store:
            change = _begun(store, pool)
            assert _is_waiting(change)
            proxy.swallow()
            clock.advance(seconds=LEASE_SECONDS)
            with pytest.raises(StorageUnavailable):
                change.result(10)
    finally:
        proxy.close()
    assert _head(settings) == 1
    assert len(_registered(settings)) == 1
