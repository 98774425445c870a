"""The overview: how an instance is doing, in a few numbers that cost little to have.

Each is one query within bounds. Of tokens at most ``MAX_TOKENS`` are looked at, the latest ones,
and of those that expire soon the first ``MAX_EXPIRING``; where there are more it is said. What was
asked and refused comes from the tallies, a few rows for each hour.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Select, case, func, select

from tokensrv.clock import midnight, utcnow
from tokensrv.db import Store
from tokensrv.domain.caller import SUDO_CHECKS
from tokensrv.domain.facts import TokenKind
from tokensrv.models import Token
from tokensrv.services.reports.tallies import Counted, counted, hour_of

# As many are counted in a fraction of a second. The latest lie beside each other in the table, and
# those that expire on one day do not.
MAX_TOKENS: Final = 100_000
MAX_EXPIRING: Final = 20_000
EXPIRING: Final = timedelta(days=60)
RECENT: Final = timedelta(days=7)
STATES: Final = ("active", "expired", "revoked")
# Ages by the days that they begin with, and what is older than all.
AGES: Final = (7, 30, 90, 365)

_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens by kind and state, and the active ones by age.

    ``ages`` has one count more than ``AGES``. ``is_capped``: only the latest were counted.
    """

    by_kind: Mapping[str, Mapping[str, int]]
    ages: tuple[int, ...]
    is_capped: bool

    def total(self, state: str) -> int:
        """Return how many are in this state, whatever their kind."""
        return sum(states[state] for states in self.by_kind.values())


@dataclass(frozen=True, slots=True)
class Expiring:
    """How many tokens end on each of the next days; None: there are too many to count so far."""

    days: tuple[tuple[date, int | None], ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """How many introspections there were in an hour, by what was answered."""

    hour: datetime
    active: int
    inactive: int


@dataclass(frozen=True, slots=True)
class Sudos:
    """How often sudo was used and refused on one day (UTC)."""

    day: date
    used: int
    refused: int


@dataclass(frozen=True, slots=True)
class Activity:
    """What happened lately: ``refusals`` are the checks that failed, the most frequent first."""

    hours: tuple[Asked, ...]
    sudos: tuple[Sudos, ...]
    refusals: tuple[tuple[str, int], ...]


def tokens(store: Store) -> Tokens:
    """Return what there is of tokens; raises StorageUnavailable."""
    now = utcnow(store.clock)
    with store.read() as session:
        rows = session.execute(_counted_tokens(now)).all()
    by_kind = {kind.value: dict.fromkeys(STATES, 0) for kind in TokenKind}
    ages = [0] * (len(AGES) + 1)
    for kind, state, age, number in rows:
        by_kind[kind][state] += number
        if state == "active":
            ages[age] += number
    looked_at = sum(row.number for row in rows)
    return Tokens(by_kind, tuple(ages), is_capped=looked_at == MAX_TOKENS)


def _counted_tokens(now: datetime) -> Select[Any]:
    ages = [(Token.created_at > now - days * _DAY, place) for place, days in enumerate(AGES)]
    states = (Token.revoked_at.is_not(None), "revoked"), (Token.expires_at <= now, "expired")
    latest = (
        select(
            Token.kind,
            case(*states, else_="active").label("state"),
            case(*ages, else_=len(AGES)).label("age"),
        )
        .order_by(Token.id.desc())
        .limit(MAX_TOKENS)
        .subquery()
    )
    columns = latest.c.kind, latest.c.state, latest.c.age
    return select(*columns, func.count().label("number")).group_by(*columns)


def expiring(store: Store) -> Expiring:
    """Return how many tokens end soon; raises StorageUnavailable.

    Exchanged tokens, which last for minutes, are left out.
    """
    first = utcnow(store.clock).date() + _DAY
    days = [first + number * _DAY for number in range(EXPIRING.days)]
    ending = (
        select(Token.expires_at, Token.revoked_at, Token.kind)
        .where(Token.expires_at >= midnight(days[0]), Token.expires_at <= midnight(days[-1]))
        .order_by(Token.expires_at, Token.id)
        .limit(MAX_EXPIRING)
        .subquery()
    )
    is_counted = ending.c.revoked_at.is_(None) & (ending.c.kind != TokenKind.EXCHANGED.value)
    ends = ending.c.expires_at
    looked_at = func.count().label("looked_at")
    counts = func.count(case((is_counted, 1))).label("number")
    with store.read() as session:
        rows = session.execute(select(ends, looked_at, counts).group_by(ends).order_by(ends)).all()
    is_capped = sum(row.looked_at for row in rows) == MAX_EXPIRING
    # The last day that was reached may go on, and those after it were not reached.
    end = rows[-1].expires_at.date() if is_capped else days[-1] + _DAY
    found = Counter[date]()
    for row in rows:
        found[row.expires_at.date()] += row.number
    return Expiring(tuple((day, found[day] if day < end else None) for day in days))


def activity(store: Store) -> Activity:
    """Return what was asked, acted and refused lately; raises StorageUnavailable."""
    now = utcnow(store.clock)
    begin = midnight(now.date() - RECENT + _DAY)
    hours = (hour_of(now) - begin) // _HOUR + 1
    found = counted(store, begin)
    return Activity(
        _hours(found, [begin + number * _HOUR for number in range(hours)]),
        _sudos(found, [begin.date() + number * _DAY for number in range(RECENT.days)]),
        _refusals(found),
    )


def _hours(found: Sequence[Counted], hours: Sequence[datetime]) -> tuple[Asked, ...]:
    counts = Counter[tuple[datetime, bool]]()
    for one in found:
        if one.kind == "introspection":
            counts[one.hour, one.outcome == "active"] += one.count
    return tuple(Asked(hour, counts[hour, True], counts[hour, False]) for hour in hours)


def _sudos(found: Sequence[Counted], days: Sequence[date]) -> tuple[Sudos, ...]:
    counts = Counter[tuple[date, bool]]()
    for one in found:
        if one.kind == "sudo":
            counts[one.hour.date(), one.outcome == "used"] += one.count
    return tuple(Sudos(day, counts[day, True], counts[day, False]) for day in days)


def _refusals(found: Sequence[Counted]) -> tuple[tuple[str, int], ...]:
    counts = Counter[str]()
    for one in found:
        # A sudo that a client asked about was counted as an introspection, too.
        is_counted_there = (one.outcome in SUDO_CHECKS) == (one.kind == "sudo")
        if one.outcome not in {"active", "used"} and is_counted_there:
            counts[one.outcome] += one.count
    return tuple(counts.most_common())
