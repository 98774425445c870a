"""Writers: the queue of all who write one SQLite file, in this process and in others.

They queue fairly: first on a lock of this process, which gives up after the storage time limit,
then on a ``flock`` beside the database, and only then do they begin. SQLite's own
``busy_timeout`` polls, so it is only the net below.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from weakref import WeakSet

from tokensrv.errors import StorageUnavailable


class FairLock:
    """A lock that is handed over in the order in which it was asked for."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._waiters: deque[threading.Lock] = deque()
        self._is_held = False

    def acquire(self, timeout_seconds: float) -> bool:
        """Return whether the lock is held now; False after so many seconds in vain."""
        with self._mutex:
            if not self._is_held:
                self._is_held = True
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiters.append(turn)
        if turn.acquire(timeout=timeout_seconds):
            return True
        with self._mutex:
            if turn in self._waiters:
                self._waiters.remove(turn)
                return False
        return True  # It was handed over just as the time ran out.

    def release(self) -> None:
        """Hand the lock to whoever has waited longest."""
        with self._mutex:
            if self._waiters:
                self._waiters.popleft().release()
            else:
                self._is_held = False


class _Wait:
    """Somebody waits for something, until it happens or he gives up: exactly one of the two."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._happened = threading.Event()
        self._given_up = False

    def is_over(self, timeout_seconds: float) -> bool:
        """Return whether it happened within so many seconds; if not, this gives up."""
        self._happened.wait(timeout_seconds)
        with self._mutex:
            self._given_up = not self._happened.is_set()
            return not self._given_up

    def end(self) -> bool:
        """Tell that it happened; returns whether somebody still waits for it."""
        with self._mutex:
            if not self._given_up:
                self._happened.set()
            return not self._given_up


class Writers:
    """The queue of all writers of one file, in this process and in others."""

    def __init__(self, database: Path, timeout_seconds: float) -> None:
        self._path = f"{database}.lock"
        self._timeout_seconds = timeout_seconds
        self._lock = FairLock()
        # Opened at first use: a descriptor from before a fork would exclude nobody.
        self._descriptor: int | None = None
        _forget_in_children.add(self)

    def reset(self) -> None:
        """Begin anew, as a forked child must: the lock's holder is not in it."""
        self._lock = FairLock()
        # Closing a child's copy unlocks nothing; but with it kept, a parent that is killed
        # while it writes would leave its lock behind.
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the right to write; raises StorageUnavailable when it takes too long."""
        if not self._lock.acquire(self._timeout_seconds):
            raise StorageUnavailable
        try:
            descriptor = self._open()
        except StorageUnavailable:
            self._lock.release()
            raise
        if not self._locked(descriptor):
            raise StorageUnavailable
        try:
            yield
        finally:
            self._unlock(descriptor)

    def _locked(self, descriptor: int) -> bool:
        """Return whether the file is locked now; if not, this process's turn goes with it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Blocking is fair and polling is not, but nobody can be made to stop blocking. A
            # stopped holder elsewhere costs this one thread, which gives up what came too late;
            # until then the others give up where this process's turns are given.
            wait = _Wait()
            arguments = (descriptor, wait)
            threading.Thread(target=self._block, args=arguments, daemon=True).start()
            return wait.is_over(self._timeout_seconds)
        return True

    def _block(self, descriptor: int, wait: _Wait) -> None:
        with suppress(OSError):  # The descriptor was closed meanwhile, and this queue with it.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if not wait.end():
                self._unlock(descriptor)

    def _unlock(self, descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        self._lock.release()

    def _open(self) -> int:
        if self._descriptor is None:
            try:
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise StorageUnavailable(f"{self._path}: {error.strerror}.") from None
        return self._descriptor

    def close(self) -> None:
        """Give the descriptor back."""
        self.reset()


_forget_in_children: WeakSet[Writers] = WeakSet()


def _forget() -> None:
    for writers in tuple(_forget_in_children):
        writers.reset()


os.register_at_fork(after_in_child=_forget)
