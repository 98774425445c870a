"""Freshness: a change that takes effect everywhere before the verb returns.

Every verb that changes what somebody may have read before (a token, a user, a client) writes
with ``settled``. Whoever only adds something new writes with the Store alone and never waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from tokensrv.db import Store
from tokensrv.lookup.primary import IDENTITY
from tokensrv.lookup.settlement import settlement_of

# Where ``events.append`` leaves, in the session's own notes, the last ``seq`` of a transaction
# of which other processes are notified.
LAST_SEQ: Final = "tokensrv_last_seq"


@contextmanager
def settled(store: Store) -> Iterator[Session]:
    """Give a session as ``Store.write`` does; no process answers as before once this ends.

    A verb that finds nothing to change waits as well: it must not say that a token is revoked
    while whoever revoked it still waits. Raises StorageUnavailable, also when too many already
    wait; then nothing was changed.
    """
    if store.readers is not None:
        # Every read sees what is committed, so that there is nothing to wait for.
        with store.write() as session:
            yield session
        return
    settlement = settlement_of(store)
    with settlement.place(store):
        with store.write() as session:
            server = session.execute(select(IDENTITY)).scalar_one()
            yield session
        settlement.settle(store, session.info.get(LAST_SEQ), server)
