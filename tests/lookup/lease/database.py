"""A model of the database, exact where the lease depends on it.

It owns the log in commit order, the rows that facts come from, the leases, the server's identity,
its replica, and connections that are cut with a statement on its way. Each statement happens at
one moment, between two steps at which others may go on: on its way there, and on its way back.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Delete, Select, Update

from tests.lookup.lease.schedule import Scheduler
from tokensrv.domain.chain import FIRST_HASH
from tokensrv.domain.facts import ClientFacts, Facts, TokenFacts, TokenKind, UserFacts, UserState
from tokensrv.errors import StorageUnavailable
from tokensrv.lookup.primary import START, Happened, Position, Reading
from tokensrv.services.freshness import LAST_SEQ

Result = TypeVar("Result")

OWNER_ID = 7
CLIENT_ID = "service"
# What a change takes away.
OWNER = "the owner"
_CLIENT = ClientFacts(1, CLIENT_ID, (), is_disabled=False, scopes=None, allow=())
# Whoever lags behind by more than this is told no more than that: a thousand, but few happen here.
_MOST_EVENTS = 1
# The deletes that are understood here, the second one of a mutant; another one must be taught.
_DELETE_ALL = "DELETE FROM cache_lease WHERE cache_lease.lease_id IN (__[POSTCOMPILE_lease_id_1])"
_DELETE = f"{_DELETE_ALL} AND cache_lease.acked_seq < :acked_seq_1"


class Selected(NamedTuple):
    """What the hot read brings back."""

    found: Facts
    seq: int
    server: str

    def __str__(self) -> str:
        return f"as of {self.seq} on {self.server}"


class Row(NamedTuple):
    """A lease."""

    acked_seq: int
    lease_ms: int


@dataclass
class State:
    """What a server has committed."""

    identity: str = "server A"
    log: list[tuple[Position, Happened]] = field(default_factory=list)
    gone: set[int | str] = field(default_factory=set)
    leases: dict[str, Row] = field(default_factory=dict)
    # As in the table cache_server.
    trusted: str = "server A"

    @property
    def head(self) -> Position:
        return self.log[-1][0] if self.log else Position(0, FIRST_HASH)

    def is_gone(self, token_id: int) -> bool:
        return token_id in self.gone or OWNER in self.gone


@dataclass
class Line:
    """A connection of a listener."""

    is_cut: bool = False
    is_notified: bool = False
    is_listening: bool = False


class Database:
    """One primary, perhaps with a replica."""

    def __init__(self, scheduler: Scheduler, lease_seconds: float) -> None:
        self.state = State()
        self.replica: State | None = None
        self.lines: list[Line] = []
        self.transactions: list[Line] = []
        # Statements of dead connections that may still be executed.
        self.late: list[tuple[str, Callable[[], Any]]] = []
        self._scheduler = scheduler
        self._lease_ms = round(lease_seconds * 1000)

    def call(self, line: Line, what: str, statement: Callable[[], Result]) -> Result:
        """Execute a statement; raises StorageUnavailable when the line is cut meanwhile."""
        self._scheduler.step()
        if line.is_cut:
            self.late.append((what, statement))
            self._scheduler.note(f"{what}: the connection is gone, the statement perhaps not")
            raise StorageUnavailable
        result = statement()
        self._scheduler.note(f"{what} -> {result}")
        self._scheduler.step()
        if line.is_cut:
            self._scheduler.note(f"{what}: the reply is lost")
            raise StorageUnavailable
        return result

    def facts(self, token_id: int) -> Facts:
        """Return the facts of a token at this moment."""
        is_blocked = OWNER in self.state.gone
        state = UserState.BLOCKED if is_blocked else UserState.ACTIVE
        token = TokenFacts(
            id=token_id,
            kind=TokenKind.PERSONAL,
            user_id=OWNER_ID,
            scopes=("api",),
            audience=(),
            created_ms=0,
            expires_ms=None,
            is_revoked=token_id in self.state.gone,
        )
        return Facts(_CLIENT, token, UserFacts(OWNER_ID, "alice", state, is_admin=False))

    def select(self, token_id: int) -> Selected:
        """Return the facts of a token with the head and the server of the same moment."""

        def select() -> Selected:
            return Selected(self.facts(token_id), self.state.head.seq, self.state.identity)

        return self.call(Line(), f"reads token {token_id}", select)

    def take_away(self, what: int | str) -> int | None:
        """Commit a revocation with its event, and tell whoever listens; None: nothing to do."""
        state = self.state
        if what in state.gone:
            return None
        state.gone.add(what)
        seq = state.head.seq + 1
        happened = (
            Happened("user.blocked", None, None, {"user_id": OWNER_ID})
            if isinstance(what, str)
            else Happened("token.revoked", what, None, {"user_id": OWNER_ID})
        )
        state.log.append((Position(seq, f"{seq} {what} on {state.identity}"), happened))
        for line in self.lines:
            line.is_notified = line.is_listening
        return seq

    def cut(self) -> None:
        """Cut every connection of a listener."""
        _cut(self.lines)

    def execute_late(self) -> None:
        """Execute the first statement that came from a dead connection."""
        what, statement = self.late.pop(0)
        self._scheduler.trace.append(f"-- late: {what} -> {statement()}")

    def replicate(self) -> None:
        """Let the replica catch up."""
        self.replica = copy.deepcopy(self.state)

    def fail_over(self) -> None:
        """Promote the replica; what it had not got is lost."""
        assert self.replica is not None
        _cut(self.lines)
        _cut(self.transactions)
        self.late.clear()
        self.state, self.replica = self.replica, None
        self.state.identity = "server B"

    def read(self, since: Position | None, lease_id: str) -> Reading:
        """Return what ``Primary.read`` does."""
        state, row = self.state, self.state.leases.get(lease_id)
        acked_seq = None if row is None else row.acked_seq
        places = [START, *(position for position, _ in state.log)]
        found = [place for place in places if since is not None and place.seq == since.seq]
        happened = [one for place, one in state.log if found and place.seq > found[0].seq]
        if since is None or len(happened) > _MOST_EVENTS:
            return Reading(state.identity, state.head, None, (), acked_seq)
        if not found:
            return Reading(state.identity, state.head, START, (), acked_seq)
        return Reading(state.identity, state.head, found[0], happened, acked_seq)

    def register(self, lease_id: str, acked_seq: int, instead_of: str | None) -> None:
        """Do what ``Primary.register`` does."""
        self.state.leases[lease_id] = Row(acked_seq, self._lease_ms)
        self.state.leases.pop(instead_of or "", None)

    def acknowledge(self, lease_id: str, seq: int) -> bool:
        """Do what ``Primary.acknowledge`` does."""
        if lease_id not in self.state.leases:
            return False
        self.state.leases[lease_id] = Row(seq, self._lease_ms)
        return True

    def write(self, statement: Delete | Update) -> None:
        """Do what a statement of the settlement does."""
        if isinstance(statement, Update):
            self.state.trusted = statement.compile().params["identity"]
            return
        compiled = statement.compile()
        assert " ".join(str(compiled).split()) in {_DELETE, _DELETE_ALL}
        behind = compiled.params.get("acked_seq_1", math.inf)
        for lease_id in compiled.params["lease_id_1"]:
            row = self.state.leases.get(lease_id)
            if row is not None and row.acked_seq < behind:
                del self.state.leases[lease_id]


def _cut(lines: list[Line]) -> None:
    for line in lines:
        line.is_cut = True
    lines.clear()


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
