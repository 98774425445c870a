"""Brief usage: what a process remembers that lives for one visit only.

It counts in the database, which all of them share, how often something was written in this minute
already. The first ten of a kind are events of their own; what becomes of the rest is the business
of ``services.trail.repetitions``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tokensrv.db import Store
from tokensrv.services.trail import repetitions
from tokensrv.services.trail.events import NewEvent, Origin
from tokensrv.services.trail.repeated import Repeated
from tokensrv.services.trail.usage import Usage


class BriefUsage(Usage):
    """The memory of one process, in which "again" means: ten times in a minute, in any process."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._shared = store

    def is_repeated(self, key: Repeated) -> bool:
        """Return whether ``key`` was written often enough already; raises StorageUnavailable."""
        return repetitions.count(self._shared, _digest(_kind(key)))

    def written(self, key: Repeated, origin: Origin, event: NewEvent) -> None:
        """Remember the event for what is counted after it; raises StorageUnavailable."""
        kind = _kind(key)
        repetitions.describe(self._shared, _digest(kind), *kind.shared(origin, event))


@contextmanager
def brief_usage(store: Store) -> Iterator[BriefUsage]:
    """Give a memory that is written at the end, before another program takes the process over.

    What others have counted is told before. Raises StorageUnavailable.
    """
    repetitions.tell(store)
    usage = BriefUsage(store)
    try:
        yield usage
    finally:
        usage.close()


def _kind(key: Repeated) -> Repeated:
    # Nobody here can count how many different things somebody is refused: together they are ten.
    # What was done under sudo is told one by one, as everywhere.
    return key if key.action == "sudo.used" else replace(key, what=None)


def _digest(key: Repeated) -> bytes:
    return hashlib.sha256(repr(key).encode(errors="surrogatepass")).digest()
