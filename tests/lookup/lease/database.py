"""A model of the database, exact where the lease depends on it.

It owns the log in commit order, the rows that facts come from, the leases, the server's identity,
its replica, and connections that are cut with a statement on its way. Each statement happens at
one moment, between two steps at which others may go on: on its way there, and on its way back.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Delete, Update

from tests.lookup.lease.schedule import Scheduler
from tokensrv.domain.chain import FIRST_HASH
from tokensrv.domain.facts import (
    ClientFacts,
    ExchangeFacts,
    Facts,
    TokenFacts,
    TokenKind,
    UserFacts,
    UserState,
)
from tokensrv.errors import StorageUnavailable
from tokensrv.lookup.primary import START, Happened, Position, Reading

Result = TypeVar("Result")

CLIENT_ID = "service"
# What a change takes away, other than a token.
OWNER = "the owner"
CLIENT = "the client"
# Tokens that stand and fall with another one, whose owner is somebody else.
SOURCE = 4
EXCHANGED = (5, 6)
_OWNER_ID, _ACTOR_ID = 7, 8
_CLIENT = ClientFacts(1, CLIENT_ID, (), is_disabled=False, scopes=None, allow=())
_ACTOR = UserFacts(_ACTOR_ID, "root", UserState.ACTIVE, is_admin=True)
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

    def facts(self, token_id: int, *, with_exchange: bool) -> Facts:
        """Return the facts of a token at this moment."""
        gone = self.state.gone
        state = UserState.BLOCKED if OWNER in gone else UserState.ACTIVE
        owner = UserFacts(_OWNER_ID, "alice", state, is_admin=False)
        client = _CLIENT._replace(is_disabled=CLIENT in gone)
        exchange = ExchangeFacts(
            self._token(SOURCE), _ACTOR, has_actor=True, client_id=CLIENT_ID, reason=None
        )
        token = self._token(token_id)
        return Facts(client, token, owner, exchange=exchange if with_exchange else None)

    def _token(self, token_id: int) -> TokenFacts:
        return TokenFacts(
            id=token_id,
            kind=TokenKind.EXCHANGED if token_id in EXCHANGED else TokenKind.PERSONAL,
            user_id=_owner_id(token_id),
            scopes=("api",),
            audience=(),
            created_ms=0,
            expires_ms=None,
            is_revoked=token_id in self.state.gone,
        )

    def select(self, token_id: int, *, with_exchange: bool) -> Selected:
        """Return the facts of a token with the head and the server of the same moment."""

        def select() -> Selected:
            found = self.facts(token_id, with_exchange=with_exchange)
            return Selected(found, self.state.head.seq, self.state.identity)

        also = " and its source" if with_exchange else ""
        return self.call(Line(), f"reads token {token_id}{also}", select)

    def take_away(self, what: int | str) -> int | None:
        """Commit a revocation with its event, and tell whoever listens; None: nothing to do."""
        state = self.state
        if what in state.gone:
            return None
        state.gone.add(what)
        seq = state.head.seq + 1
        state.log.append((Position(seq, f"{seq} {what} on {state.identity}"), _event(what)))
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


def ends(token_id: int) -> set[int | str]:
    """Return whatever a token is gone with."""
    return {token_id, OWNER, CLIENT} | ({SOURCE} if token_id in EXCHANGED else set())


def _event(what: int | str) -> Happened:
    if what == OWNER:
        return Happened("user.blocked", None, None, {"user_id": _OWNER_ID})
    if what == CLIENT:
        return Happened("client.disabled", None, CLIENT_ID, {})
    assert isinstance(what, int)
    return Happened("token.revoked", what, None, {"user_id": _owner_id(what)})


def _owner_id(token_id: int) -> int:
    return _ACTOR_ID if token_id == SOURCE else _OWNER_ID


def _cut(lines: list[Line]) -> None:
    for line in lines:
        line.is_cut = True
    lines.clear()
