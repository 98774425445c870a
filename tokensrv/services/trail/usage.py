"""Usage: what requests leave behind that need not be written before they are answered.

Last-used moments and addresses, how often a sudo was used or refused again within a minute, and
somebody turned away at a gate. It is gathered in memory and flushed by one background thread, so
that a read never writes; what is counted by the hour (``reports.tallies``) goes with it. On a kill
the last minute is lost; at a graceful end it is flushed.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.util import Finalize
from weakref import WeakSet

from sqlalchemy.exc import SQLAlchemyError

from tokensrv.clock import from_ms
from tokensrv.db import Store
from tokensrv.errors import StorageUnavailable
from tokensrv.services.reports.tallies import Tallies
from tokensrv.services.trail import last_used, repetitions
from tokensrv.services.trail.events import NewEvent, Origin, append_each
from tokensrv.services.trail.last_used import Use
from tokensrv.services.trail.repeated import Repeated

# As long as other writers may have to wait for it: a few milliseconds.
ROWS_A_TRANSACTION = 250
_MINUTE_MS = 60_000
# So many kinds of what is repeated are told apart before those of strangers become one.
_MANY_KINDS = 1_000

_log = logging.getLogger("tokensrv.usage")


@dataclass(slots=True)
class _Minute:
    minute: int
    origin: Origin
    event: NewEvent
    repeated: int = 0


class Usage:
    """The memory of one process, and the thread that empties it."""

    def __init__(
        self,
        store: Store,
        *,
        begins: Callable[[], None] | None = None,
        tallies: Tallies | None = None,
    ) -> None:
        """Make it empty; ``begins`` is called at the first use in this process, not before."""
        self._store = store
        self._begins = begins
        self._tallies = tallies
        self._begin()
        _forget_in_children.add(self)

    def _begin(self) -> None:
        self._mutex = threading.Lock()
        self._flushing = threading.Lock()
        self._uses: dict[int, Use] = {}
        # What flushes have taken over and not written yet: all of it only after a failure.
        self._unwritten: dict[int, Use] = {}
        self._minutes: dict[Repeated, _Minute] = {}
        self._ended: list[_Minute] = []
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._at_exit: Finalize | None = None

    def forget(self) -> None:
        """Begin anew, as a forked child must: what was gathered is its parent's to write."""
        self._begin()
        if self._tallies is not None:
            self._tallies.forget()

    def used(self, token_id: int, user_id: int, ip: str | None) -> None:
        """Remember that a token was used now, from this address; what is none is left out."""
        if self._thread is None:
            self.start()
        now = self._store.clock.now_ms()
        with self._mutex:
            known = self._uses.get(token_id)
            ips = known.ips if known else ()
            if ip is not None and ip not in ips[-1:] and last_used.is_address(ip):
                ips = last_used.latest_ips(ips, (ip,))
            self._uses[token_id] = Use(now, user_id, ips)

    def is_repeated(self, key: Repeated) -> bool:
        """Return whether ``key`` was already written in this minute, and count it if so."""
        if self._thread is None:
            self.start()
        with self._mutex:
            known = self._minutes.get(key)
            if known is None or known.minute != self._minute():
                return False
            known.repeated += 1
            return True

    @property
    def is_crowded(self) -> bool:
        """Return whether so much is counted that strangers must not add to it one by one."""
        return len(self._minutes) >= _MANY_KINDS

    def kinds(self, token_id: int | None, user_id: int | None) -> int:
        """Return how much is told apart in this minute of what this token or user is refused."""
        who, minute = (token_id, user_id), self._minute()
        with self._mutex:
            found = [(k.token_id, k.user_id, m.minute) for k, m in self._minutes.items()]
        return found.count((*who, minute))

    def written(self, key: Repeated, origin: Origin, event: NewEvent) -> None:
        """Remember that ``event`` stands in the log: from now on it is only counted.

        A ``sudo.counted`` or ``gate.counted`` event tells at the end of the minute how many more
        there were. Two requests at once may both find nothing and both write: that is one event
        too many, never an answer before its event.
        """
        with self._mutex:
            known = self._minutes.get(key)
            if known is not None:
                self._ended.append(known)
            self._minutes[key] = _Minute(self._minute(), *key.shared(origin, event))

    def waiting(self) -> int:
        """Return how much is gathered and not written yet."""
        uses = len(self._uses) + len(self._unwritten)
        return uses + len(self._minutes) + len(self._ended)

    def flush(self) -> None:
        """Write everything that is due; raises StorageUnavailable and then loses nothing."""
        with self._flushing:
            self._flush(all_of_them=False)

    def close(self) -> None:
        """Write everything, ended minutes or not, and stop the thread."""
        self._stop.set()
        if self._at_exit is not None:
            self._at_exit.cancel()
        if self._thread is not None:
            # What it has begun needs the storage, which may be closed next.
            self._thread.join(self._store.settings.storage_timeout_seconds)
        with self._flushing:
            self._flush(all_of_them=True)

    def start(self) -> None:
        """Have what is gathered and counted written from now on; again it does nothing."""
        with self._mutex:
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._run, name="tokensrv-usage", daemon=True)
            self._thread.start()
        # A worker of the server ends without atexit; this runs in both kinds of process.
        self._at_exit = Finalize(self, _close_quietly, args=(self,), exitpriority=10)
        if self._begins is not None:
            self._begins()

    def _run(self) -> None:
        # A little early, so that a use is written at the latest when the setting says so.
        while not self._stop.wait(self._store.settings.last_used_flush_seconds * 0.9):
            try:
                self.flush()
                # What those have left who do not live for a minute.
                repetitions.tell(self._store)
            except StorageUnavailable:
                _log.warning("usage.flush_failed")
            except SQLAlchemyError:
                # Nothing may end this thread: nobody would notice that it is gone.
                _log.exception("usage.flush_failed")

    def _minute(self) -> int:
        return self._store.clock.now_ms() // _MINUTE_MS

    def _flush(self, *, all_of_them: bool) -> None:
        self._flush_minutes(all_of_them=all_of_them)
        self._flush_uses()
        if self._tallies is not None:
            self._tallies.flush()

    def _flush_minutes(self, *, all_of_them: bool) -> None:
        minute = self._minute()
        with self._mutex:
            over = [k for k, m in self._minutes.items() if all_of_them or m.minute < minute]
            self._ended += [self._minutes.pop(key) for key in over]
            ended, self._ended = [m for m in self._ended if m.repeated], []
        try:
            while ended:
                self._write_minutes(ended[:ROWS_A_TRANSACTION])
                del ended[:ROWS_A_TRANSACTION]
        except StorageUnavailable:
            with self._mutex:
                self._ended += ended
            raise

    def _write_minutes(self, ended: list[_Minute]) -> None:
        with self._store.write() as session:
            append_each(session, self._store.clock, [(m.origin, _counted(m)) for m in ended])

    def _flush_uses(self) -> None:
        with self._mutex:
            newer, self._uses = self._uses, {}
        # Merged here and not where uses are gathered: nobody who answers waits for a flush.
        for token_id, use in newer.items():
            self._unwritten[token_id] = last_used.merged(self._unwritten.get(token_id), use)
        # Neighbours share pages, so that in this order fewer of them are written.
        token_ids = sorted(self._unwritten)
        for start in range(0, len(token_ids), ROWS_A_TRANSACTION):
            batch = token_ids[start : start + ROWS_A_TRANSACTION]
            # Each waits for its turn anew, behind all who came to write meanwhile.
            with self._store.write() as session:
                last_used.write(
                    session, {token_id: self._unwritten[token_id] for token_id in batch}
                )
            for token_id in batch:
                del self._unwritten[token_id]


def _counted(minute: _Minute) -> NewEvent:
    """Return the event that tells how often something was repeated within its minute."""
    began = from_ms(minute.minute * _MINUTE_MS)
    action, more = repetitions.summary(minute.event.action, minute.repeated, began)
    return replace(minute.event, action=action, data=minute.event.data | more)


def _close_quietly(usage: Usage) -> None:
    try:
        usage.close()
    except StorageUnavailable:
        _log.warning("usage.lost")


_forget_in_children: WeakSet[Usage] = WeakSet()


def _forget() -> None:
    for usage in tuple(_forget_in_children):
        usage.forget()


os.register_at_fork(after_in_child=_forget)
