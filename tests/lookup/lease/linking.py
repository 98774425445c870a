"""The code under test, linked to the scheduler and to the model of the database from outside."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.lookup.lease.code import Code
from tests.lookup.lease.connections import PrimaryModel, SocketModel, StoreModel, Waker
from tests.lookup.lease.database import Database
from tests.lookup.lease.schedule import Scheduler
from tests.lookup.lease.threads import Threading
from tokensrv.domain.facts import Facts

# Two may wait at a time.
_THREADS = 4


def link(code: Code, scheduler: Scheduler, database: Database) -> None:
    """Let the modules run under the scheduler, on the model."""

    @contextmanager
    def connected(_store: StoreModel) -> Iterator[PrimaryModel]:
        yield PrimaryModel(database, scheduler)

    scheduled = Threading(scheduler, "listener")
    for module in (code.cache, code.lease, code.settlement, code.postgres):
        vars(module)["threading"] = scheduled
    code.lease.socket = SocketModel
    code.postgres.Finalize = _NoFinalize
    code.postgres.Cache = _cache(code, scheduler)
    code.postgres.connected = connected
    settlement = code.settlement.Settlement(_THREADS)
    code.freshness.settlement_of = lambda _store: settlement


class Clock:
    """The scheduler's time, by a clock that may be slow."""

    def __init__(self, scheduler: Scheduler, rate: float) -> None:
        self._scheduler = scheduler
        self._rate = rate

    def now_ms(self) -> int:
        return 0

    def monotonic(self) -> float:
        self._scheduler.step()
        now = self._scheduler.now * self._rate
        self._scheduler.step()
        return now


class _NoFinalize:
    """Nothing is left to be done when the process of the tests ends."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def cancel(self) -> None:
        pass


def _cache(code: Code, scheduler: Scheduler) -> type:
    class Entries(dict[Any, Any]):
        """Lets others go on before each change."""

        def __setitem__(self, key: Any, value: Any) -> None:
            scheduler.step()
            super().__setitem__(key, value)

        def pop(self, *arguments: Any) -> Any:
            scheduler.step()
            return super().pop(*arguments)

    class Watched(code.cache.Cache):  # type: ignore[misc, name-defined]
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self._entries = Entries()

        def copied(self) -> Any:
            """Return what a forked child has of it."""
            twin = copy.copy(self)
            vars(twin)["_entries"] = Entries(self._entries)
            return twin

    return Watched


def asking(code: Code, database: Database) -> Any:
    """Return the lookup, whose statements go to the model."""

    class Asking(code.postgres.PostgresLookup):  # type: ignore[misc, name-defined]
        def _select(self, shape: Any, named: dict[str, Any]) -> tuple[Facts, int, str]:
            return database.select(named["digest"][0], with_exchange=shape.with_exchange)

        def forked(self) -> Any:
            """Return what a forked child has of it, before anything is forgotten."""
            twin, listener = copy.copy(self), copy.copy(self._listener)
            # Sockets of its own on the same ends: to close them is not felt by the parent.
            vars(listener).update(_waker=Waker(), _to_wake=Waker())
            vars(twin).update(cache=self.cache.copied(), _listener=listener)
            return twin

    return Asking
