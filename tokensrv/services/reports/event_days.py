"""Days of the event log: which stretch of it holds the events of some days.

Events stand in the order of their commits, and each has the moment that its node's clock showed. As
far as the clocks differ, moments are not in order. So moments decide, and the order only says
where to look: from the last event that is certainly too early to the first that is too late.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import aliased

from tokensrv.clock import midnight
from tokensrv.models import Event

# The clocks of two nodes never differ by more.
_SKEW: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_BEYOND: Final = 2**63 - 1
# Before and after them there is no moment any more, and nothing to find.
_FIRST_DAY: Final = date(1970, 1, 2)
_LAST_DAY: Final = date(9999, 12, 30)


def stretch(first_day: date | None, last_day: date | None) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of the events of these whole days (UTC); None: that side is open."""
    other = aliased(Event)
    if first_day is not None:
        begin = midnight(max(first_day, _FIRST_DAY))
        earlier = select(other.seq).where(other.at < begin - _SKEW)
        last = earlier.order_by(other.at.desc(), other.seq.desc()).limit(1).scalar_subquery()
        yield Event.at >= begin
        yield Event.seq > func.coalesce(last, 0)
    if last_day is not None:
        end = midnight(min(last_day, _LAST_DAY) + _DAY)
        later = select(other.seq).where(other.at >= end + _SKEW)
        first = later.order_by(other.at, other.seq).limit(1).scalar_subquery()
        yield Event.at < end
        yield Event.seq < func.coalesce(first, _BEYOND)
