"""The application's clock: the only place that reads the time.

It owns "now". It is injected wherever time matters, so that tests move it instead of
sleeping; the database's own clock is never asked.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# Linux has one that counts the time in which the machine was suspended.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """What the rest of tokensrv asks about time."""

    def now_ms(self) -> int:
        """Return the current moment in milliseconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Return seconds of a clock that never jumps; only differences mean something."""


class SystemClock:
    """The real time of this machine."""

    def now_ms(self) -> int:
        """Return the current moment in milliseconds since the epoch, UTC."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds of a clock that never jumps; only differences mean something."""
        # It goes on while the machine sleeps, as everybody else's time does.
        return time.clock_gettime(_STEADY)


def utcnow(clock: Clock) -> datetime:
    """Return the current moment as an aware UTC datetime, cut to milliseconds."""
    return from_ms(clock.now_ms())


def today(clock: Clock) -> date:
    """Return the current day in UTC."""
    return utcnow(clock).date()


def from_ms(milliseconds: int) -> datetime:
    """Return the aware UTC datetime of so many milliseconds since the epoch."""
    return _EPOCH + milliseconds * _MILLISECOND


def to_ms(moment: datetime) -> int:
    """Return an aware datetime as whole milliseconds since the epoch, cut, not rounded."""
    return (moment - _EPOCH) // _MILLISECOND


def midnight(day: date) -> datetime:
    """Return 00:00 UTC of ``day``: the moment at which a token dated ``day`` dies."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def isoformat(moment: datetime) -> str:
    """Return an aware UTC datetime as ISO 8601 with milliseconds and ``Z``."""
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
