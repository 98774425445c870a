"""What the code under test reaches the model of the database by: it says the same, and no SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Delete, Select, Update

from tests.lookup.lease.database import Database, Line
from tests.lookup.lease.schedule import Scheduler
from tokensrv.errors import StorageUnavailable
from tokensrv.lookup.primary import Position, Reading
from tokensrv.services.freshness import LAST_SEQ


class PrimaryModel:
    """What ``Primary`` is to the lease, on a line to the model."""

    def __init__(self, database: Database, scheduler: Scheduler) -> None:
        self._database = database
        self._scheduler = scheduler
        self._line = Line()
        database.lines.append(self._line)

    def listen(self) -> bool:
        def listen() -> bool:
            self._line.is_listening = True
            return True

        return self._database.call(self._line, "listens", listen)

    def server(self) -> str:
        return self._database.call(
            self._line, "asks which server it is", lambda: self._database.state.identity
        )

    def register(self, lease_id: str, acked_seq: int, *, instead_of: str | None) -> None:
        self._database.call(
            self._line,
            f"registers with {acked_seq}",
            lambda: self._database.register(lease_id, acked_seq, instead_of),
        )

    def read(self, since: Position | None, lease_id: str) -> Reading:
        return self._database.call(
            self._line, "reads the log", lambda: self._database.read(since, lease_id)
        )

    def acknowledge(self, lease_id: str, seq: int) -> bool:
        return self._database.call(
            self._line, f"acknowledges {seq}", lambda: self._database.acknowledge(lease_id, seq)
        )

    def release(self, lease_id: str) -> None:
        self._database.call(
            self._line,
            "deletes its row",
            lambda: self._database.state.leases.pop(lease_id, None) is not None,
        )

    def wait(self, seconds: float, waker: Waker) -> None:
        line = self._line
        self._scheduler.wait(
            lambda: line.is_notified or line.is_cut or waker.is_closed,
            self._scheduler.now + seconds,
        )
        line.is_notified = False
        if line.is_cut:
            raise StorageUnavailable


class Waker:
    """What a listener is woken by."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True


class SocketModel:
    """What the lease takes from ``socket``."""

    @staticmethod
    def socketpair() -> tuple[Waker, Waker]:
        both = Waker()
        return both, both


class SessionModel:
    """A transaction of the model: everything happens when it is committed."""

    def __init__(self, database: Database) -> None:
        self.info: dict[str, Any] = {}
        self.line = Line()
        self._database = database
        database.transactions.append(self.line)
        self._todo: list[Callable[[], None]] = []

    def take_away(self, what: int | str) -> None:
        def commit() -> None:
            seq = self._database.take_away(what)
            if seq is not None:
                self.info[LAST_SEQ] = seq

        self._todo.append(commit)

    def execute(self, statement: Delete | Update | Select[Any]) -> Rows:
        if isinstance(statement, Select):
            # The only thing that is asked in a transaction is where it takes place.
            return Rows([(self._database.state.identity,)])
        self._todo.append(lambda: self._database.write(statement))
        return Rows([])

    def commit(self) -> dict[str, Any]:
        for one in self._todo:
            one()
        return self.info


class StoreModel:
    """What a Store is to lookup and settlement."""

    readers = None

    def __init__(self, database: Database, clock: Any, settings: Any, holders: Any = None) -> None:
        self.clock = clock
        self.settings = settings
        self._database = database
        # The statement that asks for the holders; every other one only notifies.
        self._holders = holders

    @contextmanager
    def write(self) -> Iterator[SessionModel]:
        session = SessionModel(self._database)
        yield session
        self._database.call(session.line, "commits", session.commit)

    @contextmanager
    def glance(self) -> Iterator[StoreModel]:
        yield self

    def execute(self, statement: Any) -> Rows:
        if statement is not self._holders:
            for line in self._database.lines:
                line.is_notified = line.is_listening
            return Rows([])
        return Rows(self._database.call(Line(), "asks who holds a lease", self._found))

    def _found(self) -> list[tuple[Any, ...]]:
        state = self._database.state
        first = (state.head.seq, state.identity, state.trusted)
        leases = [(lease_id, *row) for lease_id, row in state.leases.items()]
        return [(*first, *lease) for lease in leases or [(None, None, None)]]


class Rows(NamedTuple):
    """The result of a statement."""

    found: list[tuple[Any, ...]]

    def all(self) -> list[tuple[Any, ...]]:
        return self.found

    def scalar_one(self) -> Any:
        return self.found[0][0]
