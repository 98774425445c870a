from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from tests.databases import connect, opened
from tests.db.conftest import TIMEOUT_SECONDS
from tests.db.proxy import Proxy
from tokensrv.config import Settings
from tokensrv.db import Store, postgres
from tokensrv.db.store import engine_options
from tokensrv.errors import ConfigError, StorageUnavailable

pytestmark = pytest.mark.postgres

_OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture
def proxy(settings: Settings) -> Iterator[Proxy]:
    found = Proxy(settings.database_url)
    yield found
    found.close()


@pytest.fixture
def distant(proxy: Proxy, impatient: Settings) -> Iterator[Store]:
    """A Store that reaches its database through the proxy."""
    with opened(dataclasses.replace(impatient, database_url=proxy.url)) as store:
        yield store


@contextmanager
def _unavailable(*, within_seconds: float) -> Iterator[None]:
    begin = time.monotonic()
    with pytest.raises(StorageUnavailable):
        yield
    assert time.monotonic() - begin < within_seconds


def _read(store: Store, statement: str = "SELECT seq FROM event_head") -> object:
    with store.read() as session:
        return session.scalar(text(statement))


def test_the_isolation_is_the_one_that_every_verb_counts_on(store: Store) -> None:
    assert _read(store, "SHOW transaction_isolation") == "read committed"


def test_a_slow_statement_is_ended_by_the_server(store: Store) -> None:
    with _unavailable(within_seconds=TIMEOUT_SECONDS + 1):
        _read(store, "SELECT pg_sleep(30)")


def test_a_slow_statement_leaves_its_connection_usable(store: Store) -> None:
    pid = _read(store, "SELECT pg_backend_pid()")
    with pytest.raises(StorageUnavailable):
        _read(store, "SELECT pg_sleep(30)")
    assert _read(store, "SELECT pg_backend_pid()") == pid


def test_a_silent_server_does_not_hang_a_statement(distant: Store, proxy: Proxy) -> None:
    assert _read(distant) == 0
    proxy.swallow()
    with _unavailable(within_seconds=TIMEOUT_SECONDS * 1.25 + 1):
        _read(distant)


def test_a_server_that_falls_silent_does_not_hang_a_commit(distant: Store, proxy: Proxy) -> None:
    with _unavailable(within_seconds=TIMEOUT_SECONDS * 1.25 + 1), distant.write() as session:
        session.execute(text("UPDATE event_head SET seq = 1"))
        proxy.swallow()


def test_a_silent_server_does_not_hang_a_new_connection(distant: Store, proxy: Proxy) -> None:
    proxy.swallow()
    # The shortest time limit that libpq knows is two seconds.
    with _unavailable(within_seconds=4):
        _read(distant)


def test_after_a_silence_everything_goes_on(distant: Store, proxy: Proxy) -> None:
    assert _read(distant) == 0
    proxy.swallow()
    with pytest.raises(StorageUnavailable):
        _read(distant)
    proxy.recover()
    assert _read(distant) == 0


def test_a_connection_that_was_ended_is_unavailable_once(store: Store, settings: Settings) -> None:
    assert _read(store) == 0
    with connect(settings.database_url) as administrator:
        administrator.execute(f"SELECT pg_terminate_backend(pid) {_OTHERS}")
    with pytest.raises(StorageUnavailable):
        _read(store)
    assert _read(store) == 0


def test_more_at_once_than_there_are_connections_are_unavailable(store: Store) -> None:
    limit = store.settings.threads + 4
    held = [store.engine.connect() for _ in range(limit)]
    try:
        with _unavailable(within_seconds=TIMEOUT_SECONDS + 1):
            _read(store)
    finally:
        for connection in held:
            connection.close()


def test_a_server_that_is_away_is_unavailable(impatient: Settings) -> None:
    url = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
    with (
        opened(dataclasses.replace(impatient, database_url=url)) as store,
        _unavailable(within_seconds=3),
    ):
        _read(store)


def test_connections_end_with_the_store(impatient: Settings) -> None:
    with opened(impatient) as store:
        _read(store)
    with connect(impatient.database_url) as administrator:
        row = administrator.execute(f"SELECT count(*) {_OTHERS}").fetchone()
    assert row == (0,)


def test_without_psycopg_it_is_said_what_to_install(
    impatient: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "psycopg", None)
    with pytest.raises(ConfigError, match="pip install"):
        engine_options(impatient)
