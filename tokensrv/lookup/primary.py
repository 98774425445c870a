"""The primary: what the lease asks of the database, on one connection of its own.

It owns the statements about events, leases and the server itself, and the wait for a
notification. What they mean is ``lookup.lease``'s.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)

from tokensrv.clock import utcnow
from tokensrv.db import Store, postgres
from tokensrv.domain.chain import FIRST_HASH
from tokensrv.models import CacheLease, Event, EventHead
from tokensrv.models.event import EVENT_CHANNEL

# Whoever lags behind by more than this forgets everything, which is cheaper than to read it.
MOST_EVENTS: Final = 1_000

# When the server started and on which timeline it writes. Whatever was read from a server of
# another identity may never have happened here.
IDENTITY: Final[ColumnElement[str]] = literal_column(
    "extract(epoch FROM pg_postmaster_start_time())::text"
    " || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)"
).label("server")
HEAD_SEQ: Final = (
    select(EventHead.seq)
    .where(EventHead.id == literal_column("1"))
    .scalar_subquery()
    .label("head_seq")
)

# For this one transaction: an acknowledgement that is lost in a crash only makes somebody wait.
_HASTY: Final = func.set_config("synchronous_commit", "off", literal_column("true"))

_SINCE = select(
    EventHead.seq,
    EventHead.hash,
    IDENTITY,
    CacheLease.acked_seq,
    Event.seq,
    Event.hash,
    Event.action,
    Event.token_id,
    Event.client_id,
    Event.data,
)


class Position(NamedTuple):
    """A place in the event log: the row that stands there, and what it hashes to."""

    seq: int
    hash: str


START: Final = Position(0, FIRST_HASH)


class Happened(NamedTuple):
    """As much of an event as tells which facts it has changed."""

    action: str
    token_id: int | None
    client_id: str | None
    data: dict[str, Any]


class Reading(NamedTuple):
    """One read of the log. ``since`` None: the place that was named is not there any more, or is
    too far back. ``acked_seq`` None: the lease has no row.
    """

    server: str
    head: Position
    since: Position | None
    events: Sequence[Happened]
    acked_seq: int | None


class Primary:
    """One connection to the primary, which hears of events as soon as they are committed."""

    def __init__(self, store: Store, connection: Connection) -> None:
        self._store = store
        self._connection = connection

    def listen(self) -> bool:
        """Ask to be notified; False where that does not work. Raises StorageUnavailable."""
        within = self._store.settings.lease_seconds / 10
        return postgres.listen(self._connection, EVENT_CHANNEL, within)

    def server(self) -> str:
        """Return the identity of the server; raises StorageUnavailable."""
        return self._connection.execute(select(IDENTITY)).scalar_one()

    def register(self, lease_id: str, acked_seq: int, *, instead_of: str | None) -> None:
        """Insert the row of a lease, and delete the one before it, in one transaction.

        Raises StorageUnavailable.
        """
        settings = self._store.settings
        row = {
            "lease_id": lease_id,
            "acked_seq": acked_seq,
            "lease_ms": round(settings.lease_seconds * 1000),
            "node": f"{socket.gethostname()}/{os.getpid()}"[:255],
            "registered_at": utcnow(self._store.clock),
        }
        with self._store.write() as session:
            session.execute(insert(CacheLease).values(row))
            session.execute(delete(CacheLease).where(CacheLease.lease_id == instead_of))

    def read(self, since: Position | None, lease_id: str) -> Reading:
        """Return what happened after ``since``, in one statement; raises StorageUnavailable."""
        wanted = Event.seq >= (EventHead.seq if since is None else since.seq)
        source = EventHead.__table__.outerjoin(
            CacheLease, CacheLease.lease_id == lease_id
        ).outerjoin(Event, wanted)
        statement = _SINCE.select_from(source).order_by(Event.seq).limit(MOST_EVENTS + 2)
        rows = self._connection.execute(statement).all()
        first = rows[0]
        head, found = Position(first[0], first[1]), [row for row in rows if row[4] is not None]
        if since is None or len(found) > MOST_EVENTS + 1:
            return Reading(first.server, head, None, (), first[3])
        if since == START:
            at, after = START, found
        else:
            at = Position(found[0][4], found[0][5]) if found else START
            after = found[1:]
        events = [Happened(*row[6:]) for row in after]
        return Reading(first.server, head, at, events, first[3])

    def acknowledge(self, lease_id: str, seq: int) -> bool:
        """Tell that everything up to ``seq`` is evicted; False when the lease has no row.

        Raises StorageUnavailable.
        """
        mine = CacheLease.lease_id == lease_id
        done = self._connection.execute(
            update(CacheLease).where(mine, _HASTY.is_not(None)).values(acked_seq=seq)
        )
        return bool(done.rowcount)

    def release(self, lease_id: str) -> None:
        """Delete the row of a lease; raises StorageUnavailable."""
        self._connection.execute(delete(CacheLease).where(CacheLease.lease_id == lease_id))

    def wait(self, seconds: float, waker: socket.socket) -> None:
        """Return when a notification has come, ``waker`` was written to, or time is up.

        Raises StorageUnavailable when the connection is gone.
        """
        postgres.wait(self._connection, seconds, waker)


@contextmanager
def connected(store: Store) -> Iterator[Primary]:
    """Give a connection that nobody else uses; raises StorageUnavailable."""
    with store.glance() as connection:
        postgres.limit(connection, store.settings.lease_seconds)
        try:
            yield Primary(store, connection)
        finally:
            # It listens and has other limits, so that nobody else may have it.
            connection.invalidate()
