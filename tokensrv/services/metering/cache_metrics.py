"""Metrics of the cache and of the waiting for it, where the database is PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric

from tokensrv.db import Store
from tokensrv.lookup import Lookup
from tokensrv.lookup.postgres import PostgresLookup
from tokensrv.lookup.settlement import settlement_of
from tokensrv.services.metering.metrics import Metrics, counter, gauge


def watch(metrics: Metrics, store: Store, lookup: Lookup) -> None:
    """Have the metrics tell of this lookup and of how long changes wait."""
    if not isinstance(lookup, PostgresLookup):
        return
    settlement_of(store).observers.append(metrics.waited)

    def collect() -> Iterator[Metric]:
        stats = lookup.stats()
        yield gauge("tokensrv_cache_entries", "Questions whose facts are kept.", stats.entries)
        yield gauge(
            "tokensrv_cache_leases", "Workers that may answer from their cache.", stats.is_serving
        )
        misses = "Questions that were answered by the database, not by the cache."
        yield counter("tokensrv_cache_misses", misses, {(): stats.misses})

    metrics.watch(collect)
