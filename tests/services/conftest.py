"""A Store without any application around it, an admin, and ways to do things at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, select

from tests.conftest import ManualClock
from tests.databases import opened
from tests.factories import make_admin
from tokensrv.config import Settings
from tokensrv.db import Base, Store
from tokensrv.errors import StorageUnavailable, TokensrvError
from tokensrv.services.records import EventRecord, UserRecord
from tokensrv.services.reports.event_lists import EventFilter, list_events
from tokensrv.services.trail.usage import Usage


@pytest.fixture
def store(settings: Settings, clock: ManualClock) -> Iterator[Store]:
    # Half of the threads may wait at a time, and tests let eight verbs begin in one moment.
    with opened(replace(settings, threads=16), clock) as store:
        yield store


@pytest.fixture
def usage(store: Store) -> Iterator[Usage]:
    usage = Usage(store)
    yield usage
    with suppress(StorageUnavailable):
        usage.close()


@pytest.fixture
def root(store: Store) -> UserRecord:
    return make_admin(store)


def at_once(verbs: Sequence[Callable[[], Any]]) -> list[Any]:
    """Start all of these in the same moment; return what each returned, or its refusal."""
    ready = threading.Barrier(len(verbs))

    def run(verb: Callable[[], Any]) -> Any:
        ready.wait(10)
        try:
            return verb()
        except TokensrvError as error:
            return error

    with ThreadPoolExecutor(len(verbs)) as pool:
        return list(pool.map(run, verbs))


def events_of(store: Store, action: str | None = None) -> list[EventRecord]:
    """Return all events, or those of one action, the oldest first."""
    return list_events(store, EventFilter(action=action, since=0, limit=100_000))


@contextmanager
def failing(store: Store, beginning: str, error: str = "OperationalError") -> Iterator[None]:
    """Let every statement that begins so fail, as on a full disk or with another error."""

    def refuse(connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        # PostgreSQL may have it within another one, as in WITH a AS (INSERT ...).
        if statement.startswith(beginning) or f"({beginning}" in statement:
            raise getattr(connection.dialect.loaded_dbapi, error)("disk full")

    event.listen(store.engine, "before_cursor_execute", refuse)
    try:
        yield
    finally:
        event.remove(store.engine, "before_cursor_execute", refuse)


def contents(store: Store) -> dict[str, list[Any]]:
    """Return every row of every table."""
    with store.read() as session:
        return {
            table.name: sorted(map(tuple, session.execute(select(table))), key=lambda row: row[0])
            for table in Base.metadata.sorted_tables
        }
