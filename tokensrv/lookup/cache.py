"""The cache: facts that a process keeps for as long as its lease lets it.

Its promise: an entry that is found was true at a moment after which nothing that changes it had
been answered yet. It is kept by three rules, which are all here: an entry is found only before
the deadline, evicting and moving on in the log is one step, and what was read is stored only if
it was read at least as late as the log was. What is never kept: what is not active, and what is
not known. Who moves the deadline, and when, is ``lookup.lease``'s.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from tokensrv.clock import Clock
from tokensrv.domain.facts import Facts, UserState
from tokensrv.lookup.eviction import Ended, OfClient, OfUser, Whole, ended
from tokensrv.lookup.primary import Position, Reading

# What was asked: the client's public id, the token's digest, the target's id or name.
Key = tuple[str | None, bytes | None, int | str | None]

_NEVER: Final = -math.inf


class Cache:
    """Facts by what was asked; at most ``limit`` of them."""

    def __init__(self, clock: Clock, limit: int) -> None:
        self._clock = clock
        self._limit = limit
        # Held for whatever changes; a hit needs no lock.
        self._mutex = threading.Lock()
        # Its first one is found at once, also after many before it were dropped.
        self._entries: OrderedDict[Key, Facts] = OrderedDict()
        self._by_user: dict[int, set[Key]] = {}
        self._deadline = _NEVER
        self._is_closed = False
        # Up to where the log was read, and on which server; None: nowhere yet.
        self._last: Position | None = None
        self._server: str | None = None

    @property
    def last(self) -> Position | None:
        """Return the last event whose entries are evicted."""
        return self._last

    @property
    def seconds_left(self) -> float:
        """Return how long entries may still be found; negative: not any more."""
        return self._deadline - self._clock.monotonic()

    def __len__(self) -> int:
        """Return how many entries there are."""
        return len(self._entries)

    def find(self, key: Key) -> Facts | None:
        """Return the facts that were asked for, None when they are not here or time is up."""
        # The time first, the entry second: an entry from before the deadline may be stale once
        # the deadline has been moved on.
        deadline = self._deadline
        if self._clock.monotonic() >= deadline:
            return None
        return self._entries.get(key)

    def store(self, key: Key, found: Facts, *, seq: int, server: str) -> None:
        """Keep facts that were read beside ``seq``, the last event of that moment.

        They are not kept when the log was read further meanwhile: what they say may be evicted
        already.
        """
        if not _is_active(key, found, self._clock.now_ms()):
            return
        with self._mutex:
            last = self._last
            if self._is_closed or last is None or seq < last.seq or server != self._server:
                return
            self._drop(key)
            while len(self._entries) >= self._limit:
                self._drop(next(iter(self._entries)))
            self._entries[key] = found
            for user_id in _users(found):
                self._by_user.setdefault(user_id, set()).add(key)

    def follow(self, reading: Reading) -> Position:
        """Evict what has happened and move on to the head of the log, as one step.

        Everything goes when the log is not the one that was read before. Returns the head.
        """
        with self._mutex:
            if reading.since is None or self._is_other(reading.server, reading.since):
                self._clear()
            for event in reading.events:
                self._evict(
                    ended(
                        event.action,
                        token_id=event.token_id,
                        client_id=event.client_id,
                        data=event.data,
                    )
                )
            self._last, self._server = reading.head, reading.server
            return reading.head

    def meet(self, server: str) -> int:
        """Forget everything if this is another server; returns the last event evicted.

        0: nothing is kept, so that there is nothing to evict.
        """
        with self._mutex:
            if server != self._server:
                self._clear()
            return 0 if self._last is None else self._last.seq

    def serve_until(self, deadline: float) -> None:
        """Let entries be found until this moment of the clock, or later if that was allowed."""
        with self._mutex:
            if not self._is_closed:
                self._deadline = max(self._deadline, deadline)

    def close(self) -> None:
        """Let nothing be found from now on, whatever a round on its way allows."""
        with self._mutex:
            self._is_closed = True
            self._deadline = _NEVER
            self._clear()

    def _is_other(self, server: str, since: Position) -> bool:
        return server != self._server or since != self._last

    def _clear(self) -> None:
        self._entries.clear()
        self._by_user.clear()
        self._last = self._server = None

    def _evict(self, what: Ended) -> None:
        if what is Whole.EVERYTHING:
            self._entries.clear()
            self._by_user.clear()
        elif isinstance(what, OfClient):
            self._drop_all([key for key in self._entries if key[0] == what.client_id])
        elif isinstance(what, OfUser):
            keys = tuple(self._by_user.get(what.user_id, ()))
            self._drop_all(key for key in keys if self._depends(key, what.token_ids))

    def _depends(self, key: Key, token_ids: frozenset[int] | None) -> bool:
        return token_ids is None or not token_ids.isdisjoint(_tokens(self._entries[key]))

    def _drop_all(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        found = self._entries.pop(key, None)
        if found is None:
            return
        for user_id in _users(found):
            keys = self._by_user[user_id]
            keys.discard(key)
            if not keys:
                del self._by_user[user_id]


def _is_active(key: Key, found: Facts, now_ms: int) -> bool:
    client_id, digest, target = key
    client, token, owner = found.client, found.token, found.owner
    if client_id is not None and (client is None or client.is_disabled):
        return False
    if digest is None:
        return client is not None
    if token is None or token.is_revoked or token.is_expired(now_ms):
        return False
    if owner is None or owner.state != UserState.ACTIVE:
        return False
    return target is None or found.target is not None


def _users(found: Facts) -> set[int]:
    users = [found.owner, found.target, found.exchange and found.exchange.source_owner]
    return {user.id for user in users if user is not None}


def _tokens(found: Facts) -> set[int]:
    tokens = [found.token, found.exchange and found.exchange.source]
    return {token.id for token in tokens if token is not None}
