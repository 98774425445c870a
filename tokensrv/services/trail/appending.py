"""Appending: how rows are hung on the end of the event log, in few statements under its lock.

Whoever appends holds the head row until the commit, and everybody else who changes anything waits
for it. On SQLite, whose writers queue before they begin, asking costs nothing: the head is read and
the hashes are made here. To PostgreSQL every statement is a journey, so each row is one statement
there, hash included. What an event says is ``services.trail.events``, what the hash covers
``domain.chain``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Connection,
    Select,
    Text,
    bindparam,
    case,
    cast,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from tokensrv.clock import isoformat
from tokensrv.db import Base
from tokensrv.domain.chain import COLUMNS, middle, row_hash
from tokensrv.lookup.eviction import is_harmless
from tokensrv.models import Event, EventHead
from tokensrv.models.event import EVENT_CHANNEL

# A row of the log by its columns, without the three that come from its place in it.
Described = Mapping[str, Any]

_events = Base.metadata.tables[Event.__tablename__]
_head = Base.metadata.tables[EventHead.__tablename__]

_END = select(_head.c.seq, _head.c.hash)
_LOG = insert(_events)
_MOVE = update(_head).values(seq=bindparam("end_seq"), hash=bindparam("end_hash"))


def extend(session: Session, rows: Sequence[Described]) -> int:
    """Append rows and return the last ``seq``; nothing may follow in the transaction."""
    connection = session.connection()
    if not rows:
        return int(connection.execute(_END).one().seq)
    rows = [{**row, "about_id": row["data"].get("user_id")} for row in rows]
    if connection.dialect.name == "postgresql":
        return _extend_postgres(connection, rows)
    return _extend_sqlite(connection, rows)


def _extend_sqlite(connection: Connection, rows: Sequence[Described]) -> int:
    seq, previous = connection.execute(_END).one()
    linked = []
    for row in rows:
        seq += 1
        whole = {**row, "seq": seq, "prev_hash": previous}
        whole["hash"] = previous = row_hash(_hashed(whole))
        linked.append(whole)
    connection.execute(_LOG, linked)
    connection.execute(_MOVE, {"end_seq": seq, "end_hash": previous})
    return int(seq)


def _extend_postgres(connection: Connection, rows: Sequence[Described]) -> int:
    *others, last = [{**row, "middle": middle(_hashed(row)), "notifies": False} for row in rows]
    if others:
        # The driver sends them in one go, and does not say what came of each.
        connection.execute(_APPEND, others)
    last["notifies"] = not all(is_harmless(row["action"]) for row in rows)
    return int(connection.execute(_APPEND, last).scalar_one())


def _hashed(row: Described) -> list[Any]:
    return [isoformat(row[name]) if name == "at" else row.get(name) for name in COLUMNS]


def _append_one() -> Select[Any]:
    """Return PostgreSQL's statement: lock the head, log a row behind it, move it, tell of it."""
    end = _END.with_for_update().cte("ended")
    seq = end.c.seq + 1
    covered = func.concat("[", seq, ",", bindparam("middle", type_=Text), ',"', end.c.hash, '"]')
    digest = func.encode(func.sha256(func.convert_to(covered, "UTF8")), "hex")
    described = [bindparam(name, type_=_events.c[name].type) for name in COLUMNS[1:-1]]
    about = bindparam("about_id", type_=_events.c.about_id.type)
    logged = (
        insert(_events)
        .from_select(
            [*COLUMNS, "hash", "about_id"], select(seq, *described, end.c.hash, digest, about)
        )
        .returning(_events.c.seq, _events.c.hash)
        .cte("logged")
    )
    moved = (
        update(_head)
        # True of the row as the statement found it, and as it was once the lock was had.
        .where(_head.c.seq < logged.c.seq)
        .values(seq=logged.c.seq, hash=logged.c.hash)
        .cte("moved")
    )
    notified = func.pg_notify(EVENT_CHANNEL, cast(logged.c.seq, Text))
    told = case((bindparam("notifies", type_=Boolean), notified))
    return select(logged.c.seq, told).add_cte(moved)


_APPEND: Final = _append_one()
