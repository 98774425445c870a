"""Settlement: waiting until every process knows what was just changed.

Whoever changed something waits here, after the commit and before the answer, until each
registered process has acknowledged the event, or for one lease by his own clock, after which a
process that has not is not answering from its cache any more. Where nobody holds a lease, as on
SQLite, there is nothing to wait for.

Waiting must not starve answering: half of a process's threads wait at most, holding no
connection and no transaction, and one of them asks the database for all.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Final
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import delete, func, select, true, update

from tokensrv.db import Store
from tokensrv.errors import StorageUnavailable
from tokensrv.lookup.primary import HEAD_SEQ, IDENTITY
from tokensrv.models import CacheLease, CacheServer
from tokensrv.models.event import EVENT_CHANNEL

# The pauses between two polls: an acknowledgement mostly takes a few milliseconds.
_FIRST_PAUSES: Final = (0.001, 0.001, 0.002, 0.002, 0.004, 0.008)
_PAUSE: Final = 0.02
# Whoever holds a place for longer than this is held up, and there is no use in waiting for him.
_PATIENCE: Final = 0.25

_HOLDERS = select(
    HEAD_SEQ,
    IDENTITY,
    CacheServer.identity,
    CacheLease.lease_id,
    CacheLease.acked_seq,
    CacheLease.lease_ms,
).select_from(CacheServer.__table__.outerjoin(CacheLease, true()))


@dataclass(frozen=True, slots=True)
class Holder:
    """A registered process: what it has acknowledged, and how long it may go on without."""

    lease_id: str
    acked_seq: int
    lease_seconds: float


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll has found. ``is_trusted``: no lease can have been lost with a server."""

    number: int
    head_seq: int
    holders: tuple[Holder, ...]
    server: str
    is_trusted: bool

    def waited_for(self, seq: int) -> list[Holder]:
        """Return those who have not acknowledged this event."""
        return [holder for holder in self.holders if holder.acked_seq < seq]


class Settlement:
    """The waiting of one process on one Store."""

    def __init__(self, threads: int) -> None:
        self._places_in_all = max(1, threads // 2)
        # Told how many seconds each change has waited.
        self.observers: list[Callable[[float], None]] = []
        self._begin()
        _forget_in_children.add(self)

    def _begin(self) -> None:
        self._condition = threading.Condition()
        # Since when each of the places is taken, the first one first.
        self._taken: list[float] = []
        self._is_polling = False
        # How many times this process has asked the database so far.
        self.polls = 0
        self._last: Poll | None = None

    def forget(self) -> None:
        """Begin anew, as a forked child must: whoever waits is not in it."""
        self._begin()

    @contextmanager
    def place(self, store: Store) -> Iterator[None]:
        """Hold one of the places for waiting; raises StorageUnavailable when there is none.

        It is taken before anything is changed, so that whoever is turned away has changed
        nothing. A moment's crowd is waited for, as long as those who wait get on.
        """
        since = self._take(store)
        try:
            yield
        finally:
            with self._condition:
                self._taken.remove(since)
                self._condition.notify_all()

    def _take(self, store: Store) -> float:
        with self._condition:
            age = store.clock.monotonic() - self._taken[0] if self._taken else 0.0
            if not self._condition.wait_for(self._has_place, max(0.0, _PATIENCE - age)):
                raise StorageUnavailable("Too many changes wait for other processes, try again.")
            since = store.clock.monotonic()
            self._taken.append(since)
            return since

    def _has_place(self) -> bool:
        return len(self._taken) < self._places_in_all

    def settle(self, store: Store, seq: int | None, server: str) -> None:
        """Return when no process can answer as before event ``seq``, committed on ``server``.

        None: as before the last event of this moment. Raises StorageUnavailable when that could
        not be found out: the change stands, but nobody may rely on it yet.
        """
        # The clock starts after the commit: whoever read the log before it serves for less than
        # one lease from now.
        began = store.clock.monotonic()
        self._wait(store, seq, server, began)
        for observe in self.observers:
            observe(store.clock.monotonic() - began)

    def _wait(self, store: Store, seq: int | None, server: str, began: float) -> None:
        with self._condition:
            seen = self.polls
        pauses = chain(_FIRST_PAUSES, repeat(_PAUSE))
        while True:
            poll = self._poll_after(store, seen, notify=seq is None)
            waited = store.clock.monotonic() - began
            if poll is not None:
                if poll.server != server:
                    # It may be lost, and its number another event's.
                    raise StorageUnavailable
                seen, seq = poll.number, poll.head_seq if seq is None else seq
                if self._is_settled(store, poll, seq, waited):
                    return
            elif waited >= store.settings.lease_seconds:
                raise StorageUnavailable
            with self._condition:
                if self._last is None or self._last.number <= seen:
                    self._condition.wait(next(pauses))

    def _is_settled(self, store: Store, poll: Poll, seq: int, waited: float) -> bool:
        late = poll.waited_for(seq)
        if not late and poll.is_trusted:
            return True
        own = store.settings.lease_seconds
        if waited < max([own, *(holder.lease_seconds for holder in late)]):
            return False
        # None of them is serving any more, nor is anybody whose lease was lost with the server
        # before this one, and nobody else needs to wait for them again. Should that not be
        # written, the next one waits anew.
        with suppress(StorageUnavailable):
            self._write_off(store, poll, seq)
        return True

    def _poll_after(self, store: Store, number: int, *, notify: bool) -> Poll | None:
        """Return a poll that began after the one of this number, None when there is none yet.

        Only one thread polls at a time; the others take what it has found.
        """
        with self._condition:
            if self._is_polling:
                self._condition.wait(store.settings.lease_seconds)
            if self._last is not None and self._last.number > number:
                return self._last
            if self._is_polling:
                return None
            self._is_polling = True
            self.polls += 1
            mine = self.polls
        found = None
        try:
            found = _poll(store, mine, notify=notify)
        except StorageUnavailable:
            return None
        finally:
            with self._condition:
                self._is_polling = False
                if found is not None:
                    self._last = found
                self._condition.notify_all()
        return found

    def _write_off(self, store: Store, poll: Poll, seq: int) -> None:
        with store.write() as session:
            gone = [holder.lease_id for holder in poll.waited_for(seq)]
            # Whoever has acknowledged it since that poll is serving: his row must stay.
            still = CacheLease.lease_id.in_(gone), CacheLease.acked_seq < seq
            session.execute(delete(CacheLease).where(*still))
            if not poll.is_trusted:
                session.execute(update(CacheServer).values(identity=poll.server))


def settlement_of(store: Store) -> Settlement:
    """Return the one settlement of this Store in this process."""
    with _creating:
        if store not in _of_store:
            _of_store[store] = Settlement(store.settings.threads)
        return _of_store[store]


def _poll(store: Store, number: int, *, notify: bool) -> Poll:
    with store.glance() as connection:
        if notify:
            # Whoever is behind by events that nobody was told of would let us wait for a while.
            connection.execute(select(func.pg_notify(EVENT_CHANNEL, "")))
        rows = connection.execute(_HOLDERS).all()
    first = rows[0]
    holders = [Holder(row[3], row[4], row[5] / 1000) for row in rows if row[3] is not None]
    is_trusted = first[2] == first[1]
    return Poll(number, first[0], tuple(holders), first[1], is_trusted)


_of_store: WeakKeyDictionary[Store, Settlement] = WeakKeyDictionary()
_creating = threading.Lock()
_forget_in_children: WeakSet[Settlement] = WeakSet()


def _forget() -> None:
    for settlement in tuple(_forget_in_children):
        settlement.forget()


os.register_at_fork(after_in_child=_forget)
