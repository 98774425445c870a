from __future__ import annotations

import dataclasses
import os
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from tests.conftest import ManualClock
from tests.databases import connect, opened
from tests.db.conftest import TIMEOUT_SECONDS, wait_until
from tests.db.proxy import Proxy
from tests.factories import make_admin, make_client, make_token, make_user
from tokensrv.config import Settings
from tokensrv.db import Store, postgres
from tokensrv.domain.secret import digest
from tokensrv.errors import StorageUnavailable
from tokensrv.lookup.postgres import PostgresLookup
from tokensrv.services.directory import clients, user_states
from tokensrv.services.trail.events import COMMAND_LINE

pytestmark = pytest.mark.postgres

# The thread goes round every third of it when nobody notifies it. The clock stands still.
LEASE_SECONDS = 0.6
# Nobody goes round by himself while a test lasts.
LONG_LEASE_SECONDS = 60.0

Ask = Callable[[], Any]


@pytest.fixture
def caching(settings: Settings) -> Settings:
    return dataclasses.replace(settings, cache_entries=3, lease_seconds=LEASE_SECONDS)


@pytest.fixture
def store(caching: Settings, clock: ManualClock) -> Iterator[Store]:
    with opened(caching, clock) as store:
        yield store


@pytest.fixture
def hot(store: Store) -> Iterator[PostgresLookup]:
    with _lookup(store) as lookup:
        yield lookup


@pytest.fixture
def ask(store: Store, hot: PostgresLookup) -> Ask:
    """Ask for the one token of alice, user 1."""
    return _asking(store, hot)


@contextmanager
def _lookup(store: Store) -> Iterator[PostgresLookup]:
    lookup = PostgresLookup(store)
    try:
        yield lookup
    finally:
        lookup.close()


def _asking(store: Store, lookup: PostgresLookup) -> Ask:
    client_id = make_client(store).record.client_id
    secret = make_token(store, make_user(store)).secret
    return lambda: lookup.find(client_id=client_id, digest=digest(secret))


def _run(settings: Settings, statement: str, *values: Any) -> list[Any]:
    with connect(settings.database_url) as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def _leases(settings: Settings) -> list[tuple[str, str]]:
    return _run(settings, "SELECT lease_id, node FROM cache_lease")


def _is_other(settings: Settings, before: list[tuple[str, str]]) -> bool:
    now = _leases(settings)
    return len(now) == 1 and now != before


def _warm(lookup: PostgresLookup, ask: Ask) -> None:
    """Ask until the answer is in the cache."""
    ask()
    wait_until(lambda: lookup.stats().is_serving)
    ask()
    assert _is_hit(lookup, ask)


def _is_hit(lookup: PostgresLookup, ask: Ask) -> bool:
    before = lookup.stats().misses
    ask()
    return lookup.stats().misses == before


def test_nobody_registers_before_the_first_question(
    ask: Ask, hot: PostgresLookup, settings: Settings
) -> None:
    assert _leases(settings) == []
    _warm(hot, ask)
    (lease,) = _leases(settings)
    assert lease[1].endswith(f"/{os.getpid()}")


def test_many_first_questions_at_once_register_one_process(
    ask: Ask, hot: PostgresLookup, settings: Settings
) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: ask(), range(40)))
    _warm(hot, ask)
    assert len(_leases(settings)) == 1


def test_without_room_nobody_registers_and_nothing_is_kept(
    settings: Settings, clock: ManualClock
) -> None:
    with opened(settings, clock) as store, _lookup(store) as lookup:
        ask = _asking(store, lookup)
        assert not any(_is_hit(lookup, ask) for _ in range(3))
        assert not lookup.stats().is_serving
    assert _leases(settings) == []


def test_a_change_is_told_to_everybody_and_seen_by_the_next_question(
    caching: Settings, clock: ManualClock
) -> None:
    # The clock stands still and no round is due: only an acknowledgement lets a change end.
    patient = dataclasses.replace(caching, lease_seconds=LONG_LEASE_SECONDS)
    with opened(patient, clock) as store, _lookup(store) as lookup:
        make_admin(store)
        ask = _asking(store, lookup)
        _warm(lookup, ask)
        alice = ask().owner.id
        assert user_states.block(store, COMMAND_LINE, alice)
        assert ask().owner.state == "blocked"
        assert not _is_hit(lookup, ask)
        assert user_states.unblock(store, COMMAND_LINE, alice)
        assert ask().owner.state == "active"
        assert _is_hit(lookup, ask)


def test_a_disabled_client_is_seen_by_the_next_question(
    ask: Ask, hot: PostgresLookup, store: Store
) -> None:
    _warm(hot, ask)
    assert clients.disable(store, COMMAND_LINE, ask().client.client_id)
    assert ask().client.is_disabled


def test_without_notifications_a_change_is_seen_all_the_same(
    ask: Ask, hot: PostgresLookup, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "listen", lambda *_: False)
    make_admin(store)
    _warm(hot, ask)
    assert user_states.block(store, COMMAND_LINE, ask().owner.id)
    assert ask().owner.state == "blocked"


def test_rounds_go_on_and_move_the_deadline(
    ask: Ask, hot: PostgresLookup, clock: ManualClock
) -> None:
    _warm(hot, ask)
    for _ in range(3):
        clock.advance(seconds=LEASE_SECONDS / 2)
        wait_until(lambda: hot.cache.seconds_left > LEASE_SECONDS / 2)
        assert _is_hit(hot, ask)


def test_whoever_lost_his_row_registers_anew_under_another_name(
    ask: Ask, hot: PostgresLookup, settings: Settings
) -> None:
    _warm(hot, ask)
    before = _leases(settings)
    _run(settings, "DELETE FROM cache_lease")
    wait_until(lambda: _is_other(settings, before))
    wait_until(lambda: _is_hit(hot, ask))


def test_whoever_lost_his_connection_comes_back_and_sees_what_happened(
    ask: Ask, hot: PostgresLookup, store: Store, settings: Settings
) -> None:
    make_admin(store)
    _warm(hot, ask)
    before = _leases(settings)
    (ended,) = _run(
        settings,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    assert ended[0] >= 1
    wait_until(lambda: _is_other(settings, before))
    store.engine.dispose()
    assert user_states.block(store, COMMAND_LINE, ask().owner.id)
    assert ask().owner.state == "blocked"


def test_without_the_database_the_cache_answers_until_its_deadline_and_not_longer(
    caching: Settings, clock: ManualClock
) -> None:
    proxy = Proxy(caching.database_url)
    distant = dataclasses.replace(
        caching, database_url=proxy.url, storage_timeout_seconds=TIMEOUT_SECONDS
    )
    with opened(distant, clock) as store, _lookup(store) as lookup:
        ask = _asking(store, lookup)
        _warm(lookup, ask)
        proxy.swallow()
        assert _is_hit(lookup, ask)
        clock.advance(seconds=LEASE_SECONDS * 0.8)
        with pytest.raises(StorageUnavailable):
            ask()
        proxy.recover()
        wait_until(lambda: lookup.stats().is_serving)
        ask()
        assert _is_hit(lookup, ask)
    proxy.close()


def test_at_the_end_the_row_is_gone_and_none_comes_again(
    ask: Ask, hot: PostgresLookup, settings: Settings
) -> None:
    _warm(hot, ask)
    hot.close()
    assert _leases(settings) == []
    assert not any(_is_hit(hot, ask) for _ in range(3))
    assert _leases(settings) == []


def test_an_end_without_the_database_leaves_the_row_to_whoever_waits(
    caching: Settings, clock: ManualClock
) -> None:
    proxy = Proxy(caching.database_url)
    distant = dataclasses.replace(
        caching, database_url=proxy.url, storage_timeout_seconds=TIMEOUT_SECONDS
    )
    with opened(distant, clock) as store, _lookup(store) as lookup:
        _warm(lookup, _asking(store, lookup))
        proxy.swallow()
    assert len(_leases(caching)) == 1
    proxy.close()


def test_there_are_never_more_entries_than_there_is_room_for(
    ask: Ask, hot: PostgresLookup, store: Store
) -> None:
    _warm(hot, ask)
    root = make_admin(store)
    for _ in range(10):
        secret = make_token(store, root).secret
        assert hot.find(digest=digest(secret)).token is not None
        assert hot.find(digest=digest(secret)).token is not None
    assert hot.stats().entries == 3


def test_a_forked_child_has_a_lease_of_its_own(
    ask: Ask, hot: PostgresLookup, settings: Settings
) -> None:
    _warm(hot, ask)
    before = _leases(settings)
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # It is asked on purpose what becomes of threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _answer_as_child(hot, ask, writer)
    os.close(writer)
    try:
        assert os.read(reader, 10) == b"warm"
        nodes = {node.rpartition("/")[2] for _, node in _leases(settings)}
        assert nodes == {str(os.getpid()), str(child)}
        assert set(before) < set(_leases(settings))
        assert _is_hit(hot, ask)
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(reader)


def _answer_as_child(hot: PostgresLookup, ask: Ask, writer: int) -> None:
    """Begin cold, get warm, say so, and wait to be killed."""
    try:
        is_cold = not _is_hit(hot, ask)
        _warm(hot, ask)
        os.write(writer, b"warm" if is_cold else b"hot")
        time.sleep(60)
    finally:
        os._exit(1)
