"""The hot read on SQLite: one prepared SELECT on the driver, and no cache.

Freshness costs nothing here: every read sees all that was committed before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import product

from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from tokensrv.db.sqlite import Readers
from tokensrv.domain.facts import Facts
from tokensrv.domain.usernames import Target
from tokensrv.lookup.statements import (
    USUAL,
    By,
    Prepared,
    Shape,
    by,
    facts,
    needs_exchange,
    prepared,
    values,
)


class SqliteLookup:
    """Facts straight from the file."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._prepared = _prepared()

    def find(
        self,
        *,
        client_id: str | None = None,
        digest: bytes | None = None,
        target: Target | None = None,
    ) -> Facts:
        """Return the facts of one snapshot; raises StorageUnavailable."""
        named = values(client_id, digest, target)
        is_usual = target is None and client_id is not None
        shape = USUAL if is_usual else Shape(client_id is not None, by(target))
        found = self._read(shape, named)
        if needs_exchange(found):
            # Everything is read again, so that it is one snapshot.
            return self._read(shape._replace(with_exchange=True), named)
        return found

    def close(self) -> None:
        """Do nothing: nobody waits for who reads without a cache."""

    def _read(self, shape: Shape, named: dict[str, str | int | bytes | None]) -> Facts:
        chosen = self._prepared[shape]
        rows = self._readers.fetch(chosen.sql, [named[name] for name in chosen.parameters])
        return facts(rows[0] if rows else None, shape)


@cache
def _prepared() -> Mapping[Shape, Prepared]:
    """Return all statements; they are the same for every database."""
    dialect = SQLiteDialect_pysqlite(paramstyle="qmark")
    shapes = (Shape(*parts) for parts in product((True, False), By, (True, False)))
    return {shape: prepared(dialect, shape) for shape in shapes}
