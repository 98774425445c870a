"""PostgreSQL: engine options, and a time limit that does not depend on the server.

The server's ``statement_timeout`` ends a slow statement cleanly. A server that is stopped, or a
network that swallows packets, never sends that answer; so each wait for the socket has a limit
of its own, after which the connection is given up.
"""

from __future__ import annotations

import select
import socket
from typing import Any

from sqlalchemy import Connection, Engine, event

from tokensrv.config import Settings
from tokensrv.errors import ConfigError, StorageUnavailable

try:
    import psycopg
except ImportError:
    psycopg = None  # type: ignore[assignment]  # the extra "postgres" is not installed

# The server gets the first word: its own time limit leaves a usable connection behind.
_GRACE = 1.25


def engine_options(settings: Settings) -> dict[str, Any]:
    """Return what SQLAlchemy needs; raises ConfigError when psycopg is not installed."""
    if psycopg is None:
        raise ConfigError("PostgreSQL needs psycopg: pip install 'tokensrv[postgres]'.")
    limit_ms = int(settings.storage_timeout_seconds * 1000)
    return {
        "pool_size": settings.threads + 4,
        "max_overflow": 0,
        "pool_timeout": settings.storage_timeout_seconds,
        "pool_use_lifo": True,
        # An error of the database is logged; what was to be stored is not.
        "hide_parameters": True,
        "isolation_level": "READ COMMITTED",
        "connect_args": {
            "connect_timeout": max(2, round(settings.storage_timeout_seconds)),
            "tcp_user_timeout": limit_ms,
            "application_name": "tokensrv",
            "options": f"-c statement_timeout={limit_ms} -c timezone=UTC",
        },
    }


def prepare(engine: Engine, timeout_seconds: float) -> None:
    """Make the engine open connections whose every wait is limited."""

    class Limited(psycopg.Connection[Any]):
        """A connection that is given up when the server stays silent."""

        limit_seconds = timeout_seconds * _GRACE

        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            limit = self.limit_seconds if timeout is None else timeout
            try:
                return super().wait(gen, interval, limit)
            except psycopg.OperationalError:
                # Still busy: the server did not say this, the wait ran out.
                if self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                    self.pgconn.finish()
                raise

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, arguments: Any, parameters: Any) -> Any:
        return Limited.connect(*arguments, **parameters)


def limit(connection: Connection, seconds: float) -> None:
    """Give a connection a time limit of its own for each wait."""
    _driver(connection).limit_seconds = seconds


def listen(connection: Connection, channel: str, seconds: float) -> bool:
    """Ask to be notified on a channel; False when one's own notification does not arrive in time.

    A pooler takes the request and never fulfils it; another engine may not know it at all.
    Raises StorageUnavailable when the connection is gone.
    """
    driver = _driver(connection)
    try:
        driver.execute(f"LISTEN {channel}")
        driver.execute("SELECT pg_notify(%s, '')", [channel])
        return any(True for _ in driver.notifies(timeout=seconds, stop_after=1))
    except (psycopg.errors.NotSupportedError, psycopg.errors.ProgrammingError):
        return False
    except psycopg.Error as error:
        raise StorageUnavailable from error


def wait(connection: Connection, seconds: float, waker: socket.socket) -> None:
    """Return when a notification has come, ``waker`` can be read, or time is up.

    Raises StorageUnavailable when the connection is gone.
    """
    driver = _driver(connection)
    try:
        # What came with the answer to a statement is not in the socket any more.
        if not any(True for _ in driver.notifies(timeout=0)):
            poll = select.poll()
            for readable in (driver, waker):
                poll.register(readable, select.POLLIN)
            poll.poll(seconds * 1000)
            for _ in driver.notifies(timeout=0):
                pass
    except (psycopg.Error, OSError, ValueError) as error:
        raise StorageUnavailable from error


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection
