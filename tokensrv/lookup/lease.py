"""The lease: a process's right to answer from its cache, and the thread that keeps it alive.

The right is anchored at the moment before a read of the event log was sent: whoever read the log
then knows of every change committed before, and may answer for 0.8 lease from that moment.
Whoever changes something waits (``lookup.settlement``) until this process has acknowledged it, or
for one lease. So the order of the steps below is the promise itself.
"""

from __future__ import annotations

import logging
import socket
import threading
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from tokensrv.clock import Clock
from tokensrv.errors import StorageUnavailable
from tokensrv.lookup.cache import Cache
from tokensrv.lookup.primary import Primary

# The rest is for clocks that do not run at the same speed.
_MARGIN: Final = 0.8
# How often the log is read when nobody notifies of anything, as parts of a lease.
_IDLE: Final = 1 / 3
_WITHOUT_NOTIFICATIONS: Final = 1 / 10

_log = logging.getLogger("tokensrv.lease")


class Lease:
    """The lease of one process on one cache."""

    def __init__(self, cache: Cache, clock: Clock, lease_seconds: float) -> None:
        self._cache = cache
        self._clock = clock
        self._serve_seconds = lease_seconds * _MARGIN
        # None: there is no row of ours.
        self._lease_id: str | None = None
        self._is_first = True
        self._is_closed = False

    def register(self, primary: Primary) -> None:
        """Tell everybody that this process answers from a cache; raises StorageUnavailable."""
        acked_seq = self._cache.meet(primary.server())
        lease_id, before = uuid.uuid4().hex, self._lease_id
        # Noted first: a row that may be there must be deleted in the end.
        self._lease_id, self._is_first = lease_id, True
        primary.register(lease_id, acked_seq, instead_of=before)

    def round(self, primary: Primary) -> bool:
        """Read the log, evict, acknowledge, and only then serve on.

        False: the row is gone, because somebody has waited for it in vain. Raises
        StorageUnavailable, and then the deadline stays where it was.
        """
        if self._lease_id is None or self._is_closed:
            return False
        anchor = self._clock.monotonic()
        before = self._cache.last
        reading = primary.read(before, self._lease_id)
        head = self._cache.follow(reading)
        is_behind = reading.acked_seq is None or reading.acked_seq < head.seq
        if (self._is_first or is_behind or head != before) and not primary.acknowledge(
            self._lease_id, head.seq
        ):
            return False
        self._is_first = False
        self._cache.serve_until(anchor + self._serve_seconds)
        return True

    def close(self) -> None:
        """Stop answering from the cache, for good."""
        self._is_closed = True
        self._cache.close()

    def release(self, primary: Primary) -> None:
        """Give up the row, once the cache is closed.

        Raises StorageUnavailable; whoever waits for the row then finds out by himself.
        """
        if self._is_closed and self._lease_id is not None:
            primary.release(self._lease_id)


class Listener:
    """The thread that keeps a lease alive, from the first question on."""

    def __init__(
        self,
        lease: Lease,
        connect: Callable[[], AbstractContextManager[Primary]],
        lease_seconds: float,
    ) -> None:
        self._lease = lease
        self._connect = connect
        self._lease_seconds = lease_seconds
        self._stopped = threading.Event()
        self._waker, self._to_wake = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="tokensrv-lease", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Close the cache, end the thread and give up the lease; raises StorageUnavailable."""
        self._lease.close()
        self._stopped.set()
        self._to_wake.close()
        # Whoever still registers would leave a row behind.
        self._thread.join(self._lease_seconds)
        with self._connect() as primary:
            self._lease.release(primary)

    def leave(self) -> None:
        """Let go of what a forked child has got from its parent, where the thread runs on."""
        self._waker.close()
        self._to_wake.close()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with self._connect() as primary:
                    self._keep(primary)
            except StorageUnavailable as error:
                _log.warning("lease.lost", extra={"cause": type(error.__cause__).__name__})
            except Exception:  # noqa: BLE001  # nothing may end this thread, it is logged
                # Without it every question would read the database, for as long as this lives.
                _log.exception("lease.failed")
            self._stopped.wait(self._lease_seconds * _WITHOUT_NOTIFICATIONS)
        self._waker.close()

    def _keep(self, primary: Primary) -> None:
        """Register, and go round until the row is lost; raises StorageUnavailable."""
        every = _IDLE if primary.listen() else _WITHOUT_NOTIFICATIONS
        self._lease.register(primary)
        while self._lease.round(primary):
            primary.wait(self._lease_seconds * every, self._waker)
