"""The Store: how every verb reaches the database, and the only thing that commits.

``read()`` and ``write()`` each give a short session. Nobody else begins, commits or keeps a
session; an error of the database becomes StorageUnavailable here and nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from weakref import WeakSet

from sqlalchemy import Connection, Engine
from sqlalchemy import exc as sa_exc
from sqlalchemy.orm import Session

from tokensrv.clock import Clock
from tokensrv.config import Settings
from tokensrv.db import postgres, sqlite
from tokensrv.db.writers import Writers
from tokensrv.errors import StorageUnavailable

_AWAY = (sa_exc.OperationalError, sa_exc.InterfaceError, sa_exc.TimeoutError, sa_exc.InternalError)


def database_url(settings: Settings) -> str:
    """Return the URL for SQLAlchemy, a relative SQLite path made absolute."""
    path = settings.sqlite_path
    return settings.database_url if path is None else sqlite.url(path)


def engine_options(settings: Settings) -> dict[str, Any]:
    """Return the options of the engine; raises ConfigError when its driver is missing."""
    if settings.sqlite_path is None:
        return postgres.engine_options(settings)
    return sqlite.engine_options(settings)


class Store:
    """One database with the clock and the settings that every verb needs beside it."""

    def __init__(self, engine: Engine, clock: Clock, settings: Settings) -> None:
        self.engine = engine
        self.clock = clock
        self.settings = settings
        timeout = settings.storage_timeout_seconds
        path = settings.sqlite_path
        self.readers = sqlite.Readers(path, timeout) if path else None
        self._writers = Writers(path, timeout) if path else None
        if path:
            sqlite.prepare(engine, path, timeout)
        else:
            postgres.prepare(engine, timeout)
        _stores.add(self)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that changes nothing; raises StorageUnavailable.

        On SQLite it sees one snapshot, on PostgreSQL each statement sees its own.
        """
        with self._session("DEFERRED") as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session that commits at the end; raises StorageUnavailable.

        On SQLite it waits its turn among all writers and begins IMMEDIATE.
        """
        with self._turn(), self._session("IMMEDIATE") as session:
            yield session
            with _storage_errors():
                session.commit()

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """Give a connection for single statements without a transaction around them."""
        with _storage_errors(), self.engine.connect() as connection:
            options = {"isolation_level": "AUTOCOMMIT", sqlite.BEGIN: None}
            yield connection.execution_options(**options)

    def _turn(self) -> AbstractContextManager[None]:
        return self._writers.turn() if self._writers else nullcontext()

    @contextmanager
    def _session(self, begin: str) -> Iterator[Session]:
        with _storage_errors(), self.engine.connect() as connection:
            bound = connection.execution_options(**{sqlite.BEGIN: begin})
            with Session(bind=bound, expire_on_commit=False) as session:
                yield session

    def close(self) -> None:
        """Close every connection; the Store opens new ones when it is used again."""
        if self.readers:
            self.readers.close()
        if self._writers:
            self._writers.close()
        self.engine.dispose()


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except _AWAY as error:
        raise StorageUnavailable from error
    except sa_exc.DatabaseError as error:
        # Its kinds speak of the statement; the plain one says that the file is damaged.
        if type(error) is sa_exc.DatabaseError:
            raise StorageUnavailable from error
        raise


_stores: WeakSet[Store] = WeakSet()


def _forget() -> None:
    # The parent goes on using these connections; the child must only let go of them.
    for store in tuple(_stores):
        store.engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget)
