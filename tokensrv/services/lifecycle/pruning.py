"""Pruning: tokens that have been dead for long enough are removed, the event log never is.

It owns which tokens go, in which portions, and the thread that removes them where the setting
`prune_after_days` asks for it. That thread is started by whoever knows that this process is used.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from multiprocessing.util import Finalize
from random import SystemRandom
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.errors import StorageUnavailable
from tokensrv.models import Token
from tokensrv.services.pages import Key, Order
from tokensrv.services.trail.events import NewEvent, Origin, append

# A row is on a page of its own in most indexes, so that even so few are many to write.
ROWS_A_TRANSACTION: Final = 250
BACKGROUND: Final = Origin(via="pruning")

# Soon after the start, since a worker may not live for an hour, but not all workers at once.
_FIRST_SECONDS: Final = (60.0, 600.0)
_EVERY_SECONDS: Final = 3_600.0
# Between two portions the database is everybody else's: whoever waits must wake up first.
_PAUSE_SECONDS: Final = 0.02
# The end of a process must not be held up by a database that is slow.
_STOP_SECONDS: Final = 2.0
# The expired ones first: among them are most exchanged tokens of those that were revoked.
_ENDS: Final = (Token.expires_at, Token.revoked_at)

_log = logging.getLogger("tokensrv.pruning")


def prune(
    store: Store, origin: Origin, *, days: int, pause: Callable[[float], object] = time.sleep
) -> Iterator[int]:
    """Remove the tokens that expired or were revoked more than so many days ago.

    Each step is one transaction of at most ``ROWS_A_TRANSACTION`` tokens with an event of its own,
    and yields how many it removed; after it ``pause`` is called with a number of seconds.
    Exchanged tokens go with their source. What somebody else holds at the moment is left for the
    next time. Raises StorageUnavailable; what was removed until then stays so.
    """
    before = utcnow(store.clock) - timedelta(days=days)
    for end in _ENDS:
        order, after, has_more = Order(Token.id, end), None, True
        while has_more:
            with store.write() as session:
                count, after = _remove(session, store, origin, order, before, after)
            if count:
                yield count
            if has_more := after is not None:
                pause(_PAUSE_SECONDS)


def _remove(
    session: Session,
    store: Store,
    origin: Origin,
    order: Order,
    before: datetime,
    after: Key | None,
) -> tuple[int, Key | None]:
    """Remove a portion; return its size, and where the next one begins if there may be one."""
    query = select(Token.id, order.column).where(order.column < before)
    if after is not None:
        # Past what is gone already, whose traces are in the index until somebody sweeps it.
        query = query.where(order.beyond(after))
    wanted = order.sorted(query).limit(ROWS_A_TRANSACTION).with_for_update(skip_locked=True)
    rows = session.execute(wanted).all()
    if not rows:
        return 0, None
    ids = [row.id for row in rows]
    session.execute(delete(Token).where(Token.id.in_(ids)))
    data = {"count": len(ids), "last_id": max(ids), "before": before.date().isoformat()}
    append(session, store.clock, origin, [NewEvent(action="token.pruned", data=data)])
    return len(ids), order.key(rows[-1]) if len(rows) == ROWS_A_TRANSACTION else None


class Pruning:
    """The thread of one process that prunes every hour, if the setting says so."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._at_exit: Finalize | None = None

    def start(self) -> None:
        """Start the thread; a forked child calls it anew."""
        if not self._store.settings.prune_after_days:
            return
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tokensrv-pruning", daemon=True)
        self._thread.start()
        # A worker of the server ends without atexit; this runs in both kinds of process.
        self._at_exit = Finalize(self, self.close, exitpriority=10)

    def close(self) -> None:
        """Have the thread end after the portion that it is at, and wait a moment for that.

        A portion that takes longer at the end of the process is rolled back by the database.
        """
        self._stop.set()
        if self._at_exit is not None:
            self._at_exit.cancel()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def once(self) -> int:
        """Prune everything that is due and return how many tokens that were.

        Raises StorageUnavailable.
        """
        days, total = self._store.settings.prune_after_days, 0
        for count in prune(self._store, BACKGROUND, days=days, pause=self._stop.wait):
            total += count
            if self._stop.is_set():
                break
        return total

    def _run(self) -> None:
        seconds = SystemRandom().uniform(*_FIRST_SECONDS)
        while not self._stop.wait(seconds):
            seconds = _EVERY_SECONDS
            try:
                _log.info("tokens.pruned", extra={"count": self.once()})
            except StorageUnavailable:
                _log.warning("pruning.failed")
            except SQLAlchemyError:
                # Nothing may end this thread: nobody would notice that it is gone.
                _log.exception("pruning.failed")
