"""The hot read on PostgreSQL: the same statement, straight from the primary.

Nothing is cached, so a revoke that has committed counts at once on every node.
"""

from __future__ import annotations

from typing import Any

from tokensrv.db import Store
from tokensrv.domain.facts import Facts
from tokensrv.domain.usernames import Target
from tokensrv.lookup.statements import Shape, by, facts, needs_exchange, statement, values


class PostgresLookup:
    """Facts straight from the primary."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(
        self,
        *,
        client_id: str | None = None,
        digest: bytes | None = None,
        target: Target | None = None,
    ) -> Facts:
        """Return the facts of one snapshot; raises StorageUnavailable."""
        named = values(client_id, digest, target)
        shape = Shape(client_id is not None, by(target))
        found = self._read(shape, named)
        if needs_exchange(found):
            # Everything is read again, so that it is one snapshot.
            return self._read(shape._replace(with_exchange=True), named)
        return found

    def _read(self, shape: Shape, named: dict[str, Any]) -> Facts:
        with self._store.glance() as connection:
            return facts(connection.execute(statement(shape), named).first(), shape)
