"""The hot read on PostgreSQL: from the cache while the lease allows it, else from the primary.

A miss is one statement on one snapshot, which brings the facts together with the head of the log
and the identity of the server: whether they may be kept is decided by these.
"""

from __future__ import annotations

import logging
import os
import threading
from functools import cache, partial
from multiprocessing.util import Finalize
from typing import Any, NamedTuple
from weakref import WeakSet

from sqlalchemy import Select

from tokensrv.db import Store
from tokensrv.domain.facts import Facts
from tokensrv.domain.usernames import Target
from tokensrv.errors import StorageUnavailable
from tokensrv.lookup.cache import Cache, Key
from tokensrv.lookup.lease import Lease, Listener
from tokensrv.lookup.primary import HEAD_SEQ, IDENTITY, connected
from tokensrv.lookup.statements import Shape, by, facts, needs_exchange, statement, values

_log = logging.getLogger("tokensrv.lease")


class Stats(NamedTuple):
    """The cache of this process in numbers, since the process began."""

    entries: int
    misses: int
    is_serving: bool


class PostgresLookup:
    """Facts from the cache of this process or straight from the primary."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._is_caching = store.settings.cache_entries > 0
        self._begin()
        _forget_in_children.add(self)

    def _begin(self) -> None:
        self.cache = Cache(self._store.clock, self._store.settings.cache_entries)
        self._mutex = threading.Lock()
        self._listener: Listener | None = None
        self._misses = 0
        self._at_exit: Finalize | None = None

    def forget(self) -> None:
        """Begin anew, as a forked child must: the lease is its parent's."""
        if self._listener is not None:
            self._listener.leave()
        self._begin()

    def find(
        self,
        *,
        client_id: str | None = None,
        digest: bytes | None = None,
        target: Target | None = None,
    ) -> Facts:
        """Return facts that no answered change has made untrue; raises StorageUnavailable."""
        named = None if target is None else target.key if target.id is None else target.id
        key = (client_id, digest, named)
        found = self.cache.find(key)
        return self._read(key, target) if found is None else found

    def stats(self) -> Stats:
        """Return what the cache holds and how often it did not have what was asked."""
        return Stats(len(self.cache), self._misses, self.cache.seconds_left > 0)

    def close(self) -> None:
        """Answer from the cache no more and give up the lease."""
        with self._mutex:
            listener, self._is_caching = self._listener, False
        if self._at_exit is not None:
            self._at_exit.cancel()
        if listener is not None:
            _stop(listener)

    def _read(self, key: Key, target: Target | None) -> Facts:
        if self._is_caching and self._listener is None:
            self._start()
        self._misses += 1
        shape = Shape(key[0] is not None, by(target))
        named = values(key[0], key[1], target)
        found, seq, server = self._select(shape, named)
        if needs_exchange(found):
            # Everything is read again, so that it is one snapshot.
            found, seq, server = self._select(shape._replace(with_exchange=True), named)
        if self._is_caching and server is not None:
            self.cache.store(key, found, seq=seq, server=server)
        return found

    def _select(self, shape: Shape, named: dict[str, Any]) -> tuple[Facts, int, str | None]:
        with self._store.glance() as connection:
            row = connection.execute(_with_head(shape), named).first()
        if row is None:
            return facts(None, shape), 0, None
        *columns, seq, server = row
        return facts(columns, shape), seq, server

    def _start(self) -> None:
        with self._mutex:
            if self._listener is not None or not self._is_caching:
                return
            store, seconds = self._store, self._store.settings.lease_seconds
            lease = Lease(self.cache, store.clock, seconds)
            listener = Listener(lease, partial(connected, store), seconds)
            listener.start()
            self._listener = listener
            # A worker of the server ends without atexit; this runs in both kinds of process.
            self._at_exit = Finalize(self, _close, args=(self,), exitpriority=10)


@cache
def _with_head(shape: Shape) -> Select[Any]:
    return statement(shape).add_columns(HEAD_SEQ, IDENTITY)


def _stop(listener: Listener) -> None:
    try:
        listener.stop()
    except StorageUnavailable:
        # Whoever changes something waits for this lease once, and then removes it.
        _log.warning("lease.left_behind")


def _close(lookup: PostgresLookup) -> None:
    lookup.close()


_forget_in_children: WeakSet[PostgresLookup] = WeakSet()


def _forget() -> None:
    for lookup in tuple(_forget_in_children):
        lookup.forget()


os.register_at_fork(after_in_child=_forget)
