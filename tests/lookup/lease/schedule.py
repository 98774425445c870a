"""A scheduler that decides which of several threads goes on, at every point where it matters.

Actors are real threads, of which one runs at a time: at each step the running one hands the baton
to whoever is chosen, so that the same choices give the same run. It owns the baton and the time;
who goes on is for ``policies`` to choose, what the actors do is ``world``'s.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from tests.lookup.lease.policies import Policy

# More than any run needs, so that one in which nothing gets on ends too.
_MOST_STEPS = 5_000
# Nobody has more turns in a row than this while everything goes well.
_LONGEST_BOUT = 50


class Abandoned(BaseException):
    """The run is over; unwinds an actor that is in the middle of something."""


class Happening(NamedTuple):
    """What befalls the actors: time that passes, a connection that is cut."""

    run: Callable[[], None]
    is_possible: Callable[[], bool]


class Actor:
    """A thread that runs only while it has the baton."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.baton = threading.Semaphore(0)
        self.is_done = False
        self.ready: Callable[[], bool] | None = None
        self.until = math.inf
        self.last_turn = 0


class Scheduler:
    """One run."""

    def __init__(self, policy: Policy) -> None:
        self.now = 0.0
        self.actors: dict[str, Actor] = {}
        self.happenings: dict[str, Happening] = {}
        self.choices: list[str] = []
        self.trace: list[str] = []
        self.failure: str | None = None
        self.is_fair = True
        # Asked after every step for what is wrong.
        self.invariant: Callable[[], str | None] = lambda: None
        self._policy = policy
        self._threads: list[threading.Thread] = []
        self._current: Actor | None = None
        self._is_over = False
        self._is_probing = False
        self._over = threading.Event()
        self._turns = self._bout = 0

    def run(self) -> None:
        """Run until somebody says that it is over; everybody has left the code then."""
        self._hand_over()
        self._over.wait()
        for actor in self.actors.values():
            actor.baton.release()
        for thread in self._threads:
            thread.join()

    def spawn(self, name: str, target: Callable[[], None]) -> Actor:
        """Start an actor; its first turn is for the scheduler to give."""
        while name in self.actors:
            name += "'"
        actor = self.actors[name] = Actor(name)
        thread = threading.Thread(target=self._act, args=(actor, target), daemon=True)
        self._threads.append(thread)
        thread.start()
        return actor

    def explore(self) -> None:
        """Leave the choices to the policy from now on, until it has enough."""
        self.is_fair = False

    def end(self, failure: str | None = None) -> None:
        """Let the run be over."""
        if not self._is_over:
            self.failure = failure
            self._is_over = True
        raise Abandoned

    def kill(self, names: Collection[str]) -> None:
        """Let these never have a turn again."""
        for name in names:
            self.actors[name].ready = lambda: False
            self.actors[name].until = math.inf

    def note(self, what: str) -> None:
        """Write down what the running actor has done."""
        if self._current is not None and not self._is_probing:
            self.trace.append(f"{self._current.name}: {what}")

    def step(self) -> None:
        """Let others go on here."""
        self.wait(None)

    def wait(self, ready: Callable[[], bool] | None, until: float = math.inf) -> bool:
        """Let others go on until it is ready, or the time has come; returns whether it is."""
        actor = self._current
        if self._is_probing or actor is None:
            return True if ready is None else ready()
        if self._is_over:
            raise Abandoned
        actor.ready, actor.until = ready, until
        if (failure := self.probe(self.invariant)) is not None:
            self.end(failure)
        if (chosen := self._choose()) is not actor:
            self._give(chosen)
            actor.baton.acquire()
        if self._is_over:
            raise Abandoned
        self._current, actor.ready = actor, None
        return True if ready is None else ready()

    def probe(self, ask: Callable[[], Any]) -> Any:
        """Return what somebody would be told who asks now and is not interrupted."""
        self._is_probing = True
        try:
            return ask()
        finally:
            self._is_probing = False

    def pass_time(self, seconds: float) -> None:
        """Let time pass for everybody."""
        self.now += seconds
        self.trace.append(f"-- {self.now:.3f} s")

    def pause(self) -> float:
        """Return the seconds until the next one who waits for a moment; infinite: nobody does."""
        moments = [actor.until for actor in self._waiting() if actor.until > self.now]
        return min(moments, default=math.inf) - self.now

    def _act(self, actor: Actor, target: Callable[[], None]) -> None:
        actor.baton.acquire()
        try:
            if not self._is_over:
                self._current = actor
                target()
        except Abandoned:
            pass
        except Exception as error:  # noqa: BLE001 -- whatever it is, the run has failed by it.
            self.failure, self._is_over = f"{actor.name} failed: {error!r}", True
        actor.is_done = True
        self._hand_over()

    def _hand_over(self) -> None:
        if not self._is_over and (chosen := self._choose()) is not None:
            self._give(chosen)
            return
        self._is_over = True
        self._over.set()

    def _give(self, actor: Actor | None) -> None:
        if actor is None:
            self._is_over = True
            self._over.set()
        else:
            actor.baton.release()

    def _waiting(self) -> list[Actor]:
        return [actor for actor in self.actors.values() if not actor.is_done]

    def _runnable(self) -> dict[str, Actor]:
        return {
            actor.name: actor
            for actor in self._waiting()
            if actor.ready is None or actor.until <= self.now or actor.ready()
        }

    def _choose(self) -> Actor | None:
        """Return who has the next turn, None when nobody ever has one again."""
        while True:
            runnable = self._runnable()
            self._turns += 1
            if self._turns > _MOST_STEPS:
                self.failure = "nothing gets on"
                return None
            if self.is_fair:
                chosen = self._fairly(runnable)
                if chosen is None and self.pause() == math.inf:
                    return None
                if chosen is None:
                    self.pass_time(self.pause())
                    continue
                return chosen
            possible = [name for name, one in self.happenings.items() if one.is_possible()]
            names = [*runnable, *possible]
            current = self._current.name if self._current else ""
            name = self._policy.choose(names, current) if names else None
            if name is None:
                self.is_fair = True
                self.trace.append("-- from here on nothing goes wrong")
                continue
            self.choices.append(name)
            if name in runnable:
                return runnable[name]
            self.happenings[name].run()

    def _fairly(self, runnable: dict[str, Actor]) -> Actor | None:
        current = self._current
        if current is not None and current.name in runnable and self._bout < _LONGEST_BOUT:
            self._bout += 1
            return current
        self._bout = 0
        chosen = min(runnable.values(), key=lambda actor: actor.last_turn, default=None)
        if chosen is not None:
            chosen.last_turn = self._turns
        return chosen
