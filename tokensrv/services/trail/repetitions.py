"""Repetitions: what processes count together that do not live long enough to count it alone.

The first few of a kind in a minute are events, each written by its own process. For the rest there
is a row with their number and what is to be told of them. Whoever comes by when the minute is over
writes that as an event: the next such process, or the server.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, select, text, update

from tokensrv.clock import isoformat, utcnow
from tokensrv.db import Moment, Store
from tokensrv.models import Repetition
from tokensrv.services.trail.events import NewEvent, Origin, append_described, described

WRITTEN: Final = 10
_TOLD_AT_A_TIME: Final = 250

_COUNT: Final = text(
    """INSERT INTO repetition (key, minute, count) VALUES (:key, :minute, 1)
    ON CONFLICT (key, minute) DO UPDATE SET count = repetition.count + 1
    RETURNING count
    """
).bindparams(bindparam("minute", type_=Moment))


def count(store: Store, key: bytes) -> bool:
    """Count one of a kind, and return whether that is enough: it must not be written as well.

    Raises StorageUnavailable.
    """
    with store.write() as session:
        values = {"key": key, "minute": _minute(store)}
        return bool(session.execute(_COUNT, values).scalar_one() > WRITTEN)


def describe(store: Store, key: bytes, origin: Origin, event: NewEvent) -> None:
    """Remember which event was written of a kind, for what is counted after it.

    Raises StorageUnavailable.
    """
    is_it = (Repetition.key == key, Repetition.told.is_(None))
    told = json.dumps(described(origin, event))
    with store.write() as session:
        session.execute(update(Repetition).where(*is_it).values(told=told))


def tell(store: Store) -> None:
    """Write the events of the minutes that are over; raises StorageUnavailable."""
    over = select(Repetition).where(Repetition.minute < _minute(store))
    with store.read() as session:
        if session.scalars(over.limit(1)).first() is None:
            return
    some = over.order_by(Repetition.minute).limit(_TOLD_AT_A_TIME)
    with store.write() as session:
        found = session.scalars(some.with_for_update(skip_locked=True)).all()
        for row in found:
            session.delete(row)
        if rows := [_event(row.told, row) for row in found if row.told and row.count > WRITTEN]:
            append_described(session, store.clock, rows)


def summary(of: str, repeated: int, minute: datetime) -> tuple[str, dict[str, Any]]:
    """Return the action of the event that tells of repetitions, and what it adds to the data."""
    action = "gate.counted" if of == "gate.refused" else "sudo.counted"
    return action, {"of": of, "count": repeated, "minute": isoformat(minute)}


def _event(told: str, row: Repetition) -> dict[str, Any]:
    first: dict[str, Any] = json.loads(told)
    action, more = summary(first["action"], row.count - WRITTEN, row.minute)
    return first | {"action": action, "data": first["data"] | more}


def _minute(store: Store) -> datetime:
    return utcnow(store.clock).replace(second=0, microsecond=0)
