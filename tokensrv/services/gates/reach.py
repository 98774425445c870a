"""Reach: whether whoever was let in may go on to one repository.

A scope says what a token is good for anywhere; a rule says of which repository its subject may ask
that.
"""

from __future__ import annotations

from tokensrv.db import Store
from tokensrv.domain.gates import Entry, NoEntry, Obstacle
from tokensrv.services import repositories
from tokensrv.services.gates import turned_away
from tokensrv.services.gates.visit import Visit
from tokensrv.services.metering.metrics import Metrics
from tokensrv.services.trail.usage import Usage


def reach(
    store: Store,
    usage: Usage,
    visit: Visit,
    entry: Entry,
    repository: str,
    *,
    writes: bool,
    metrics: Metrics | None = None,
) -> Entry | NoEntry:
    """Return the entry, unless the rules keep him from the repository of this path.

    It is the end of the way in, so that the visit is counted here. Raises StorageUnavailable.
    """
    if repositories.allows(store, entry.caller.subject.id, repository, writes=writes):
        if metrics is not None:
            metrics.at_gate(visit.gate, "entered")
        return entry
    refused = NoEntry.after(entry, Obstacle.RULE)
    return turned_away.record(store, usage, visit, refused, metrics=metrics)
