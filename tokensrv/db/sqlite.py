"""SQLite: its driver, how connections are set up, who reads the hot way.

Hot readers bypass SQLAlchemy: a small stack of connections of this process, never one per
thread, since the server ends idle threads. Writers queue in ``writers``.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakSet

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DisconnectionError

from tokensrv.config import Settings
from tokensrv.errors import StorageUnavailable

try:
    # Its library is new enough to be free of SQLite's WAL-reset corruption bug (before 3.51.3).
    import pysqlite3 as _driver
except ImportError:
    import sqlite3 as _driver  # The same interface, an older library.

driver: ModuleType = _driver

# The execution option that says how a transaction begins: DEFERRED, IMMEDIATE, None for not at all.
BEGIN = "tokensrv_begin"
_FILE = "tokensrv_file"
_PAUSE_SECONDS = 0.005


# Device and inode; None: there is no such file.
FileId = tuple[int, int] | None


def engine_options(settings: Settings) -> dict[str, Any]:
    """Return what SQLAlchemy needs to open the file with our driver and time limit."""
    return {
        "module": driver,
        "pool_size": settings.threads + 4,
        "max_overflow": 0,
        "pool_timeout": settings.storage_timeout_seconds,
        "pool_use_lifo": True,
        # An error of the database is logged; what was to be stored is not.
        "hide_parameters": True,
        "connect_args": {
            "timeout": settings.storage_timeout_seconds,
            "check_same_thread": False,
            # The driver must not begin by itself: `_begin` does, because only it knows how.
            "isolation_level": None,
        },
    }


def url(database: Path) -> str:
    """Return the URL for SQLAlchemy; a file that is not there is an error, never made anew."""
    return f"sqlite:///{database.as_uri()}?mode=rw&uri=true"


def prepare(engine: Engine, database: Path, timeout_seconds: float) -> None:
    """Make every connection of the engine durable, and begin as its execution option says."""

    path = str(database)

    def connected(connection: Any, record: Any) -> None:
        record.info[_FILE] = file_id(path)
        _write_ahead(connection, timeout_seconds)
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    def checked_out(_connection: Any, record: Any, _proxy: Any) -> None:
        if record.info[_FILE] != file_id(path):
            raise DisconnectionError

    event.listen(engine, "connect", connected)
    event.listen(engine, "checkout", checked_out)
    event.listen(engine, "begin", _begin)


def file_id(database: str) -> FileId:
    """Return what tells this file from another at the same path, None when there is none.

    A connection goes on with the file that it opened, even after somebody removed or replaced
    it: what is written then is lost, and what is read was revoked long ago.
    """
    try:
        found = os.stat(database)  # noqa: PTH116  # a Path would take a third longer, every time
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _write_ahead(connection: Any, timeout_seconds: float) -> None:
    """Switch the file to WAL mode, unless it is in it already."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
        except driver.OperationalError as error:
            # Of processes that open a new file at once one makes the switch, and SQLite refuses
            # the others at once instead of letting them wait as its `timeout` says.
            if error.sqlite_errorcode != driver.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def _begin(connection: Connection) -> None:
    mode = connection.get_execution_options().get(BEGIN, "DEFERRED")
    # SQLAlchemy tells of a beginning in its AUTOCOMMIT mode as well.
    if mode is not None:
        connection.exec_driver_sql(f"BEGIN {mode}")


class Readers:
    """Connections for the hot read: last in, first out, and no lock."""

    def __init__(self, database: Path, timeout_seconds: float) -> None:
        self._database = str(database)
        self._uri = f"{database.as_uri()}?mode=rw"
        self._timeout_seconds = timeout_seconds
        # A cursor of each, which costs something to make, with the file that was opened.
        self._idle: deque[tuple[FileId, Any]] = deque()
        _forget_in_children.add(self)

    def reset(self) -> None:
        """Let go of the parent's connections in a forked child."""
        # Closing a connection that was opened before the fork would drop the parent's locks.
        _inherited.extend(self._idle)
        self._idle = deque()

    def fetch(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        """Return all rows of one statement; raises StorageUnavailable.

        Everything is fetched at once: an unfinished cursor would pin its snapshot.
        """
        file = file_id(self._database)
        cursor = None
        try:
            cursor = self._take(file) or self._connect()
            rows: list[Any] = cursor.execute(sql, parameters).fetchall()
        except driver.Error as error:
            if cursor is not None:
                cursor.connection.close()
            raise StorageUnavailable from error
        self._idle.append((file, cursor))
        return rows

    def _take(self, file: FileId) -> Any:
        """Return an idle cursor on this very file, None when there is none."""
        try:
            # Asking whether there is one would be too early: another thread may take it.
            while True:
                opened, cursor = self._idle.pop()
                if opened == file:
                    return cursor
                cursor.connection.close()
        except IndexError:
            return None

    def _connect(self) -> Any:
        connection = driver.connect(
            self._uri,
            uri=True,
            timeout=self._timeout_seconds,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.execute("PRAGMA query_only=ON").close()
        return connection.cursor()

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop()[1].connection.close()


_forget_in_children: WeakSet[Readers] = WeakSet()
_inherited: list[Any] = []


def _forget() -> None:
    for holder in tuple(_forget_in_children):
        holder.reset()


os.register_at_fork(after_in_child=_forget)
