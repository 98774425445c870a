"""Tallies: how often things happened in each hour, in all processes of all nodes together.

What a process counts for Prometheus (``services.metering.metrics``) is gone with it; here it is
added to rows that stay for ``KEPT``. It is written with the last uses, by ``services.trail.usage``,
so that what is counted costs no answer anything, and a process that is killed loses a minute of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import BigInteger, String, bindparam, delete, select, text

from tokensrv.clock import utcnow
from tokensrv.db import Moment, Store
from tokensrv.models import Tally
from tokensrv.services.metering.metrics import Metrics

KEPT: Final = timedelta(days=90)

# Both engines know this, and none of the two needs to read before it writes.
_ADD: Final = text(
    "INSERT INTO tally (hour, name, count) VALUES (:hour, :name, :count)"
    " ON CONFLICT (hour, name) DO UPDATE SET count = tally.count + excluded.count"
).bindparams(
    bindparam("hour", type_=Moment),
    bindparam("name", type_=String),
    bindparam("count", type_=BigInteger),
)


@dataclass(frozen=True, slots=True)
class Counted:
    """How often something of this ``kind``, such as an introspection, came out so in one hour."""

    hour: datetime
    kind: str
    outcome: str
    count: int


class Tallies:
    """What one process has counted and not yet written."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self._written: dict[str, int] = {}
        self._hour: datetime | None = None

    def forget(self) -> None:
        """Take all that was counted until now for written: by the parent of this process."""
        self._written = self._metrics.tallied()

    def flush(self) -> None:
        """Add what was counted since the last time to this hour, and remove what is too old.

        Raises StorageUnavailable, and then loses nothing.
        """
        counts, hour = self._metrics.tallied(), hour_of(utcnow(self._store.clock))
        # In one order in all processes, so that none waits for a row of another that waits for it.
        rows = [
            {"hour": hour, "name": name, "count": grown}
            for name, count in sorted(counts.items())
            if (grown := count - self._written.get(name, 0))
        ]
        if not rows:
            return
        with self._store.write() as session:
            session.execute(_ADD, rows)
            if hour != self._hour:
                # Once an hour, so that there is never more to remove than one hour's.
                session.execute(delete(Tally).where(Tally.hour < hour - KEPT))
        self._written, self._hour = counts, hour


def hour_of(moment: datetime) -> datetime:
    """Return the beginning of a moment's hour."""
    return moment.replace(minute=0, second=0, microsecond=0)


def counted(store: Store, since: datetime) -> tuple[Counted, ...]:
    """Return what was counted in each hour since then, hour by hour; raises StorageUnavailable."""
    query = select(Tally).where(Tally.hour >= since).order_by(Tally.hour, Tally.name)
    with store.read() as session:
        return tuple(map(_counted, session.scalars(query)))


def _counted(row: Tally) -> Counted:
    kind, _, outcome = row.name.partition(".")
    return Counted(row.hour, kind, outcome, row.count)
