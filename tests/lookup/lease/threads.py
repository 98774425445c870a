"""What stands in for ``threading`` in the code under test, under the scheduler."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.lookup.lease.schedule import Actor, Scheduler


class Threading:
    """What the code under test takes from ``threading``, under the scheduler."""

    def __init__(self, scheduler: Scheduler, thread_name: str) -> None:
        self._scheduler = scheduler
        self._thread_name = thread_name

    def Lock(self) -> Lock:  # noqa: N802 -- the name that it stands in for.
        return Lock(self._scheduler)

    def Condition(self) -> Condition:  # noqa: N802 -- likewise.
        return Condition(self._scheduler)

    def Event(self) -> Event:  # noqa: N802 -- likewise.
        return Event(self._scheduler)

    def Thread(self, *, target: Callable[[], None], **_: Any) -> Thread:  # noqa: N802 -- likewise.
        return Thread(self._scheduler, self._thread_name, target)


class Lock:
    """A mutex; whoever wants it lets others go on first."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._is_held = False

    def __enter__(self) -> None:
        self._scheduler.wait(lambda: not self._is_held)
        self._is_held = True

    def __exit__(self, *_: object) -> None:
        self._is_held = False


class Condition(Lock):
    """A mutex with a place to wait at."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__(scheduler)
        self._notified = 0

    def wait(self, timeout: float | None = None) -> bool:
        before = self._notified
        with self._let_go():
            until = math.inf if timeout is None else self._scheduler.now + timeout
            return self._scheduler.wait(lambda: self._notified > before, until)

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        until = math.inf if timeout is None else self._scheduler.now + timeout
        while not predicate():
            if self._scheduler.now >= until:
                return False
            self.wait(until - self._scheduler.now)
        return True

    def notify_all(self) -> None:
        self._notified += 1

    @contextmanager
    def _let_go(self) -> Iterator[None]:
        self._is_held = False
        try:
            yield
        finally:
            self.__enter__()


class Event:
    """A flag to wait for."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._is_set = False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True

    def wait(self, timeout: float | None = None) -> bool:
        until = math.inf if timeout is None else self._scheduler.now + timeout
        return self._scheduler.wait(self.is_set, until)


class Thread:
    """A thread that becomes an actor."""

    def __init__(self, scheduler: Scheduler, name: str, target: Callable[[], None]) -> None:
        self._scheduler = scheduler
        self._name = name
        self._target = target
        self._actor: Actor | None = None

    def start(self) -> None:
        self._actor = self._scheduler.spawn(self._name, self._target)

    def join(self, timeout: float | None = None) -> None:
        assert self._actor is not None, "cannot join thread before it is started"
        actor = self._actor
        until = math.inf if timeout is None else self._scheduler.now + timeout
        self._scheduler.wait(lambda: actor.is_done, until)
