"""Lists of events: found by who, what, where and when, the latest or the oldest first.

Every filter has an index in the order of ``seq``, so that a page costs the same however long the
log is. What is wanted in several ways (a user who acted, was acted as, or was changed) is asked
for in each of them, and put together here. Writing the log is ``services.trail.events``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import chain
from typing import Any, Final

from sqlalchemy import ColumnElement, false, func, or_, select, true
from sqlalchemy.orm import Session

from tokensrv.db import Store
from tokensrv.domain.usernames import target
from tokensrv.errors import NotFound
from tokensrv.models import Event, EventHead, User
from tokensrv.services.records import EventRecord, event_record
from tokensrv.services.reports.event_days import stretch

# The end of a family of actions, as in `token.*`.
FAMILY: Final = ".*"
# Few enough to be held at once, many enough to be worth a query.
BATCH: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events to list, and at most how many; None: that filter is off.

    Users are named by their name of today or by id, those that were deleted by their last name.
    ``user`` is one who acted, as whom somebody acted, or whom it is about; ``action`` may be a
    family such as ``token.*``; ``since`` is a ``seq`` and begins behind it, the days are whole.
    """

    limit: int = 100
    since: int | None = None
    action: str | None = None
    user: str | None = None
    actor: str | None = None
    subject: str | None = None
    token_id: int | None = None
    client_id: str | None = None
    ip: str | None = None
    request_id: str | None = None
    first_day: date | None = None
    last_day: date | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of events, the latest first.

    ``older`` and ``newer`` are the ``seq`` where the pages beside it begin; None: there is none.
    """

    items: tuple[EventRecord, ...]
    older: int | None
    newer: int | None


def get(store: Store, seq: int) -> EventRecord:
    """Return an event; raises NotFound (Event)."""
    with store.read() as session:
        row = session.get(Event, seq)
        if row is None:
            raise NotFound("Event", seq)
        return event_record(row)


def list_events(store: Store, wanted: EventFilter) -> list[EventRecord]:
    """Return events, the oldest first: the last ones, or those after ``since``."""
    with store.read() as session:
        if wanted.since is not None:
            rows = _after(session, wanted, wanted.since, wanted.limit)
        else:
            rows = _before(session, wanted, None, wanted.limit)[::-1]
        return [event_record(row) for row in rows]


def page(
    store: Store, wanted: EventFilter, *, before: int | None = None, after: int | None = None
) -> EventPage:
    """Return the latest events, or those just ``before`` or just ``after`` a ``seq``."""
    limit = wanted.limit
    with store.read() as session:
        if after is not None:
            rows = _after(session, wanted, after, limit + 1)
            # An older one is there at least: the one that the page before ended with.
            has_newer, has_older = len(rows) > limit, True
            rows = rows[:limit][::-1]
        else:
            rows = _before(session, wanted, before, limit + 1)
            has_newer, has_older = before is not None, len(rows) > limit
            rows = rows[:limit]
        items = tuple(event_record(row) for row in rows)
    return EventPage(
        items,
        older=items[-1].seq if items and has_older else None,
        newer=items[0].seq if items and has_newer else None,
    )


def each(store: Store, wanted: EventFilter) -> Iterator[EventRecord]:
    """Return all events that are there now, the oldest first, whatever ``limit`` says.

    They are read while they are taken, a batch at a time, and in between nothing is held: whoever
    takes them may be slow. The first batch is read at once; raises StorageUnavailable.
    """
    with store.read() as session:
        end = session.scalars(select(EventHead.seq)).one()
    batch = replace(wanted, limit=BATCH, since=wanted.since or 0)
    first = list_events(store, batch)
    found = chain(first, _following(store, batch, first))
    return (event for event in found if event.seq <= end)


def actions(store: Store) -> tuple[str, ...]:
    """Return every action that occurs, in alphabetical order."""
    with store.read() as session:
        return tuple(sorted(_actions(session)))


def usernames(store: Store, events: Iterable[EventRecord]) -> dict[int, str]:
    """Return what the users whom these events are about are called today, by id."""
    ids = {event.data.get("user_id") for event in events} - {None}
    with store.read() as session:
        rows = session.execute(select(User.id, User.username).where(User.id.in_(ids)))
        return {row.id: row.username for row in rows}


def _following(
    store: Store, wanted: EventFilter, batch: list[EventRecord]
) -> Iterator[EventRecord]:
    while len(batch) == wanted.limit:
        batch = list_events(store, replace(wanted, since=batch[-1].seq))
        yield from batch


def _before(session: Session, wanted: EventFilter, seq: int | None, limit: int) -> list[Event]:
    """Return the latest events before a ``seq``, None: of all, the latest first."""
    place = true() if seq is None else Event.seq < seq
    rows = _fetch(session, wanted, place, Event.seq.desc(), limit)
    return sorted(rows, key=lambda row: row.seq, reverse=True)[:limit]


def _after(session: Session, wanted: EventFilter, seq: int, limit: int) -> list[Event]:
    """Return the oldest events after a ``seq``, the oldest first."""
    rows = _fetch(session, wanted, Event.seq > seq, Event.seq.asc(), limit)
    return sorted(rows, key=lambda row: row.seq)[:limit]


def _fetch(
    session: Session, wanted: EventFilter, place: ColumnElement[bool], order: Any, limit: int
) -> list[Event]:
    """Return each event once that is wanted in one way or another, up to ``limit`` of each way."""
    ways, conditions = _judged(_filters(session, wanted))
    query = select(Event).where(place, *conditions, *stretch(wanted.first_day, wanted.last_day))
    query = query.order_by(order).limit(limit)
    found: dict[int, Event] = {}
    for way in ways:
        found |= {row.seq: row for row in session.scalars(query.where(way))}
    return list(found.values())


# One of these columns must have one of these values.
_Filter = Sequence[tuple[Any, Sequence[Any]]]


def _filters(session: Session, wanted: EventFilter) -> Iterator[_Filter]:
    """Yield the filters that are on, first the one that is likely to leave the fewest events."""
    if wanted.request_id is not None:
        yield [(Event.request_id, [wanted.request_id])]
    if wanted.token_id is not None:
        yield [(Event.token_id, [wanted.token_id])]
    if wanted.ip is not None:
        yield [(Event.ip, [wanted.ip])]
    if wanted.subject is not None:
        yield [(Event.subject_id, _ids(session, wanted.subject))]
    if wanted.user is not None:
        ids = _ids(session, wanted.user)
        yield [(column, ids) for column in (Event.actor_id, Event.subject_id, Event.about_id)]
    if wanted.actor is not None:
        yield [(Event.actor_id, _ids(session, wanted.actor))]
    if wanted.client_id is not None:
        yield [(Event.client_id, [wanted.client_id])]
    if wanted.action is not None:
        yield [(Event.action, [action]) for action in _named(session, wanted.action)]


def _judged(
    filters: Iterator[_Filter],
) -> tuple[list[ColumnElement[bool]], list[ColumnElement[bool]]]:
    """Return the ways of the first filter, each a stretch of an index, and what must hold as well.

    SQLite has no idea which of two indexes leads to fewer events, so that it is shown only one.
    """
    first = next(filters, None)
    ways: list[ColumnElement[bool]] = (
        [true()] if first is None else [_is_one_of(*way) for way in first]
    )
    hidden = (
        [_is_one_of(func.coalesce(column, column), values) for column, values in ways]
        for ways in filters
    )
    return ways, [or_(false(), *conditions) for conditions in hidden]


def _is_one_of(column: Any, ids: Sequence[int]) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = column == ids[0] if len(ids) == 1 else column.in_(ids)
    return condition


def _ids(session: Session, name: str) -> Sequence[int]:
    """Return the id of a user, or of those who were called so when they were deleted."""
    named = target(name)
    if named.id is not None:
        return [named.id]
    user_id = session.scalar(select(User.id).where(User.username_key == named.key))
    if user_id is not None:
        return [user_id]
    deleted = select(Event.about_id).where(
        Event.action == "user.deleted",
        func.lower(Event.data["username"].as_string()) == named.key,
    )
    return [user_id for user_id in session.scalars(deleted) if user_id is not None]


def _named(session: Session, action: str) -> list[str]:
    """Return the action, or those that occur of a family."""
    if not action.endswith(FAMILY):
        return [action]
    beginning = action.removesuffix("*")
    return [known for known in _actions(session) if known.startswith(beginning)]


def _actions(session: Session) -> list[str]:
    """Return every action that occurs, each found in the index by the one before it."""
    least = select(func.min(Event.action).label("action")).cte("found", recursive=True)
    following = select(func.min(Event.action)).where(Event.action > least.c.action)
    found = least.union_all(select(following.scalar_subquery()).where(least.c.action.is_not(None)))
    return list(session.scalars(select(found.c.action).where(found.c.action.is_not(None))))
