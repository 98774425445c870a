"""The longest wait of eight writers in two processes: tokensrv's queue beside SQLite's own.

Every writer does the same over and over: it waits for its turn, writes one row and commits it
durably. Once they queue as all writers of tokensrv do (``Store.write``), once they have nothing
but SQLite's ``busy_timeout``, which polls. ``python -m benchmarks.writers`` prints both as JSON.
"""

from __future__ import annotations

import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any

import click
from sqlalchemy import create_engine

from tokensrv.clock import SystemClock
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.db.sqlite import driver
from tokensrv.db.store import database_url, engine_options

PROCESSES = 2
WRITERS_A_PROCESS = 4
_PATIENCE_SECONDS = 60
_TABLE = "CREATE TABLE written (id INTEGER PRIMARY KEY, name TEXT)"
_ROW = "INSERT INTO written (name) VALUES ('a row')"

# What a writer does in one turn; it returns how long it has waited for it, in seconds.
Turn = Callable[[], float]
# Opens what the writers of one process share, and gives what opens a writer.
Writers = Callable[[Settings], AbstractContextManager[Callable[[], Turn]]]


def longest_waits(seconds: float = 4) -> dict[str, Any]:
    """Return longest wait and turns of both kinds of writers, each measured so many seconds."""
    return {
        "processes": PROCESSES,
        "writers": PROCESSES * WRITERS_A_PROCESS,
        "seconds": seconds,
        "queue": _measured(_queued, seconds),
        "busy_timeout": _measured(_polling, seconds),
    }


def _measured(writers: Writers, seconds: float) -> dict[str, float]:
    """Return what all the processes found, on a new database."""
    with tempfile.TemporaryDirectory(prefix="tokensrv-writers-") as folder:
        settings = Settings(
            instance=Path(folder), storage_timeout_seconds=_PATIENCE_SECONDS, threads=8
        )
        with closing(_connection(settings)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(_TABLE)
        context = multiprocessing.get_context("spawn")
        with (
            context.Manager() as manager,
            ProcessPoolExecutor(PROCESSES, mp_context=context) as pool,
        ):
            ready = manager.Barrier(PROCESSES)
            running = [
                pool.submit(_process, writers, settings, seconds, ready) for _ in range(PROCESSES)
            ]
            waits = [wait for process in running for wait in process.result()]
    return {"longest_wait_ms": round(max(waits) * 1000, 1), "turns": len(waits)}


def _process(writers: Writers, settings: Settings, seconds: float, ready: Barrier) -> list[float]:
    with writers(settings) as open_writer, ThreadPoolExecutor(WRITERS_A_PROCESS) as pool:
        ready.wait(_PATIENCE_SECONDS)
        end = time.monotonic() + seconds
        running = [pool.submit(_write_until, end, open_writer()) for _ in range(WRITERS_A_PROCESS)]
        return [wait for writer in running for wait in writer.result()]


def _write_until(end: float, turn: Turn) -> list[float]:
    waits = []
    while time.monotonic() < end:
        waits.append(turn())
    return waits


@contextmanager
def _queued(settings: Settings) -> Iterator[Callable[[], Turn]]:
    store = Store(
        create_engine(database_url(settings), **engine_options(settings)), SystemClock(), settings
    )

    def turn() -> float:
        asked = time.monotonic()
        with store.write() as session:
            waited = time.monotonic() - asked
            session.connection().exec_driver_sql(_ROW)
        return waited

    yield lambda: turn
    store.close()


@contextmanager
def _polling(settings: Settings) -> Iterator[Callable[[], Turn]]:
    connections = []

    def open_writer() -> Turn:
        connection = _connection(settings)
        connection.execute("PRAGMA synchronous=FULL")
        connections.append(connection)

        def turn() -> float:
            asked = time.monotonic()
            connection.execute("BEGIN IMMEDIATE")
            waited = time.monotonic() - asked
            connection.execute(_ROW)
            connection.execute("COMMIT")
            return waited

        return turn

    yield open_writer
    for connection in connections:
        connection.close()


def _connection(settings: Settings) -> Any:
    return driver.connect(
        settings.sqlite_path,
        timeout=settings.storage_timeout_seconds,
        isolation_level=None,
        check_same_thread=False,
    )


@click.command()
@click.option("--seconds", type=click.FloatRange(min=0.1), default=4, show_default=True)
def main(seconds: float) -> None:
    """Print the longest wait of eight writers, with tokensrv's queue and without."""
    click.echo(json.dumps(longest_waits(seconds)))


if __name__ == "__main__":
    main()
