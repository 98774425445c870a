"""One process that answers from its cache, others that change things, and what befalls them.

It puts the code under test together with the model of the database and states the promise: no
question that begins after a change was answered is answered as before. Beside it: whoever changes
something is answered, within one lease at most, and the cache answers again in the end.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from tests.lookup.lease.code import Code
from tests.lookup.lease.connections import StoreModel
from tests.lookup.lease.database import CLIENT_ID, Database, ends
from tests.lookup.lease.linking import Clock, asking, link
from tests.lookup.lease.policies import Policy
from tests.lookup.lease.schedule import Happening, Scheduler
from tokensrv.config import Settings
from tokensrv.domain.facts import Facts, UserState
from tokensrv.errors import StorageUnavailable

LEASE_SECONDS = 2.0
_TICK_SECONDS = LEASE_SECONDS / 4
# The clock of the process with the cache loses that much, as the margin allows.
_SLOW = 0.9
# With nobody stalled or cut off, an acknowledgement comes long before the lease is over.
_SOON_SECONDS = LEASE_SECONDS / 10
_ANOTHER_TOKEN = 3
_PROCESS = ("listener", "asks 1", "asks 2", "warm", "shutdown")


class Scenario(NamedTuple):
    """What may happen in a run, and how often."""

    # The tokens that are asked for: one that is in the cache if it is warm, and one that is not.
    tokens: tuple[int, int] = (1, 2)
    changes: tuple[int | str, ...] = (1, 2)
    ticks: int = 12
    cuts: int = 0
    late: int = 0
    crashes: int = 0
    failovers: int = 0
    replications: int = 0
    is_warm: bool = True
    shuts_down: bool = False
    forks: int = 0


class World:
    """One run of a scenario."""

    def __init__(self, code: Code, scenario: Scenario, policy: Policy) -> None:
        self.scheduler = Scheduler(policy)
        self._scenario = scenario
        self._is_up = True
        # What was answered to be gone, and with which change it goes.
        self._answered: dict[int | str, str] = {}
        self._unanswered = len(scenario.changes)
        self._left = scenario._asdict()
        self.database = Database(self.scheduler, LEASE_SECONDS)
        link(code, self.scheduler, self.database)
        settings = Settings(cache_entries=10, lease_seconds=LEASE_SECONDS)
        clock = Clock(self.scheduler, _SLOW)
        self._lookup = asking(code, self.database)(StoreModel(self.database, clock, settings))
        self._child: Any = None
        holders = vars(code.settlement)["_HOLDERS"]
        self._store = StoreModel(self.database, Clock(self.scheduler, 1), settings, holders)
        self._settled = code.freshness.settled

    def run(self) -> str | None:
        """Return what went wrong, None if nothing did."""
        self.scheduler.invariant = self._stale
        for name, run in self._happenings().items():
            self.scheduler.happenings[name] = run
        if self._scenario.failovers:
            # The replica is behind by an event, and has not got any lease yet.
            self.database.replicate()
            self.database.take_away(_ANOTHER_TOKEN)
        self.scheduler.spawn("warm", self._begin)
        self.scheduler.run()
        return self.scheduler.failure

    def _begin(self) -> None:
        """Let everybody loose, once the cache answers if it is to be warm."""
        if self._scenario.is_warm:
            self._ask(self._scenario.tokens[0])
            self.scheduler.wait(self._is_serving)
            self._ask(self._scenario.tokens[0])
        for number, what in enumerate(self._scenario.changes):
            self.scheduler.spawn(f"change {number + 1}", partial(self._change, what))
        for number in (1, 2):
            self.scheduler.spawn(f"asks {number}", partial(self._ask_often, number))
        if self._scenario.shuts_down:
            self.scheduler.spawn("shutdown", self._shut_down)
        self.scheduler.spawn("end", self._end)
        self.scheduler.explore()

    def _ask_often(self, number: int) -> None:
        # Both ask for the token that is not in the cache yet, so that its reads may overlap.
        warm, cold = self._scenario.tokens
        for token_id in (cold, warm, warm) if number == 1 else (cold, warm, cold, warm):
            self._ask(token_id)

    def _ask(self, token_id: int) -> None:
        answered = tuple(self._answered.items())
        try:
            found = self._lookup.find(client_id=CLIENT_ID, digest=bytes([token_id]))
        except StorageUnavailable:
            return
        self.scheduler.note(f"token {token_id} is {'active' if _is_active(found) else 'gone'}")
        for what, which in answered:
            # A failover may have lost the change itself meanwhile.
            if what in self._answered and what in ends(token_id) and _is_active(found):
                self.scheduler.end(f"token {token_id} is found active by who asked after {which}")

    def _change(self, what: int | str) -> None:
        server, began = self.database.state.identity, self.scheduler.now
        try:
            with self._settled(self._store) as session:
                session.take_away(what)
        except StorageUnavailable:
            self.scheduler.note("is answered 503")
        else:
            self.scheduler.note(f"is answered: {what} is gone")
            if server == self.database.state.identity:
                self._answered[what] = f"{what} was answered to be gone"
        self._unanswered -= 1
        if self._is_healthy() and self.scheduler.now - began > _SOON_SECONDS:
            self.scheduler.end("a change waits although everybody has acknowledged it")

    def _is_healthy(self) -> bool:
        troubles = (self._scenario.ticks, self._scenario.cuts, self._scenario.crashes)
        return not (any(troubles) or self._scenario.failovers or self._scenario.forks)

    def _shut_down(self) -> None:
        self._lookup.close()
        self._is_up = False

    def _end(self) -> None:
        """Wait until all is well again; it must be so after two leases in which it can be."""
        self.scheduler.wait(lambda: self.scheduler.is_fair)
        end = self.scheduler.now + 2 * LEASE_SECONDS
        if not self.scheduler.wait(lambda: not self._unanswered, end):
            self.scheduler.end("a change is not answered")
        if self._is_up and not self._scenario.shuts_down:
            # Only who is asked something starts to listen.
            self._ask(self._scenario.tokens[1])
            if not self.scheduler.wait(self._is_serving, end + LEASE_SECONDS):
                self.scheduler.end("the cache does not come back")
        self.scheduler.end()

    def _is_serving(self) -> bool:
        return bool(self.scheduler.probe(lambda: self._lookup.cache.seconds_left > 0))

    def _stale(self) -> str | None:
        """Return what is wrong with the answer of who would ask now."""
        if not self._answered or not self._is_up:
            return None
        tokens = self._scenario.tokens
        gone = [one for one in tokens if not self._answered.keys().isdisjoint(ends(one))]
        for lookup in filter(None, (self._lookup, self._child)):
            for token_id in gone:
                found = lookup.cache.find((CLIENT_ID, bytes([token_id]), None))
                if found is not None and _is_active(found):
                    return f"token {token_id} is active in the cache, answered to be gone"
        return None

    def _happenings(self) -> dict[str, Happening]:
        return {
            "tick": self._happening("ticks", self._tick),
            "moment": self._happening(
                "ticks", self._moment, lambda: self.scheduler.pause() < _TICK_SECONDS
            ),
            "cut": self._happening("cuts", self._cut),
            "late": self._happening(
                "late", self.database.execute_late, lambda: bool(self.database.late)
            ),
            "crash": self._happening("crashes", self._crash, lambda: self._is_up),
            "fork": self._happening("forks", self._fork),
            "replicate": self._happening("replications", self._replicate),
            "failover": self._happening(
                "failovers", self._fail_over, lambda: self.database.replica is not None
            ),
        }

    def _happening(
        self, budget: str, run: Callable[[], None], is_possible: Callable[[], bool] = lambda: True
    ) -> Happening:
        def spend() -> None:
            self._left[budget] -= 1
            run()

        return Happening(spend, lambda: self._left[budget] > 0 and is_possible())

    def _tick(self) -> None:
        self.scheduler.pass_time(_TICK_SECONDS)

    def _moment(self) -> None:
        self._left["ticks"] += 0.9
        self.scheduler.pass_time(self.scheduler.pause())

    def _cut(self) -> None:
        self.scheduler.trace.append("-- the listener's connection is cut")
        self.database.cut()

    def _crash(self) -> None:
        self.scheduler.trace.append("-- the process is killed")
        self._is_up = False
        self.scheduler.kill([name for name in self.scheduler.actors if name in _PROCESS])

    def _fork(self) -> None:
        self.scheduler.trace.append("-- the process forks")
        self._child = self._lookup.forked()
        self.scheduler.probe(self._child.forget)

    def _replicate(self) -> None:
        self.scheduler.trace.append("-- the replica catches up")
        self.database.replicate()

    def _fail_over(self) -> None:
        self.scheduler.trace.append("-- the replica is promoted")
        self.database.fail_over()
        # What the replica had not got was never promised on this server.
        self._answered = {
            what: which
            for what, which in self._answered.items()
            if what in self.database.state.gone
        }


def _is_active(found: Facts) -> bool:
    assert found.client is not None
    assert found.token is not None
    assert found.owner is not None
    if found.client.is_disabled or found.owner.state != UserState.ACTIVE:
        return False
    source = found.exchange.source if found.exchange is not None else None
    return not found.token.is_revoked and (source is None or not source.is_revoked)
