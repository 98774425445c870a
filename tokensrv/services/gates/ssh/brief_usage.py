"""Brief usage: what a process remembers that lives for one visit only.

It asks the database, which all of them share, how often something was written in this minute
already. The first ten of a kind are events of their own, and the rest stands in sshd's own log
alone: no process lives long enough to count it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from tokensrv.db import Store
from tokensrv.services.account import throttle
from tokensrv.services.account.throttle import Budget, Limit
from tokensrv.services.usage import Repeated, Usage

_WRITTEN: Final = Limit("record", 10, timedelta(minutes=1))


class BriefUsage(Usage):
    """The memory of one process, in which "again" means: ten times in a minute, in any process."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._shared = store

    def is_repeated(self, key: Repeated) -> bool:
        """Return whether ``key`` was written often enough already; raises StorageUnavailable."""
        words = f"{_WRITTEN.name}\0{key!r}"
        budget = Budget(_WRITTEN, hashlib.sha256(words.encode(errors="surrogatepass")).digest())
        return throttle.take(self._shared, (budget,)) is not None


@contextmanager
def brief_usage(store: Store) -> Iterator[BriefUsage]:
    """Give a memory that is written at the end, before another program takes the process over."""
    usage = BriefUsage(store)
    try:
        yield usage
    finally:
        usage.close()
