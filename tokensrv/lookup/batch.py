"""Many tokens at once: the statement of the hot read for a list, in one round trip."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from tokensrv.db import Store
from tokensrv.domain.facts import ClientFacts, Facts
from tokensrv.domain.usernames import Target
from tokensrv.lookup.statements import Shape, by, facts, statement, values


class Batch(NamedTuple):
    """The calling client, None if there is none, and the facts of each digest that was found."""

    client: ClientFacts | None
    found: dict[bytes, Facts]


def find_many(
    store: Store, *, client_id: str | None, digests: Collection[bytes], target: Target | None
) -> Batch:
    """Return the facts of many tokens on one snapshot; raises StorageUnavailable."""
    shape = Shape(client_id is not None, by(target), with_exchange=True, is_many=True)
    named = values(client_id, None, target) | {"digests": list(digests)}
    with store.glance() as connection:
        rows = connection.execute(statement(shape), named).all()
    found = {row[-1]: facts(row, shape) for row in rows if row[-1] is not None}
    return Batch(facts(rows[0], shape).client if rows else None, found)
