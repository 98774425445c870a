"""The hot read: digests in, facts out, one statement.

``statements`` writes that statement once, from the models; ``sqlite`` runs it on the driver,
``postgres`` on the primary, whose answers it keeps (``cache``) as long as it may (``lease``).
``settlement`` is the other side of that: how long a change waits before it is answered. Every
way to ask about a token goes through here.
"""

from __future__ import annotations

from typing import Protocol

from tokensrv.db import Store
from tokensrv.domain.facts import Facts
from tokensrv.domain.usernames import Target
from tokensrv.lookup.postgres import PostgresLookup
from tokensrv.lookup.sqlite import SqliteLookup


class Lookup(Protocol):
    """How edges ask for facts."""

    def find(
        self,
        *,
        client_id: str | None = None,
        digest: bytes | None = None,
        target: Target | None = None,
    ) -> Facts:
        """Return what is known of the client, the token, its owner and the sudo target.

        All of one snapshot, and no older than what was last answered to have changed. Raises
        StorageUnavailable.
        """

    def close(self) -> None:
        """Give back what other processes might wait for; the lookup is not used again."""


def build(store: Store) -> Lookup:
    """Return the lookup that fits the Store's database."""
    if store.readers is not None:
        return SqliteLookup(store.readers)
    return PostgresLookup(store)
