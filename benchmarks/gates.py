"""Gates under full load: what a proxy waits for before every request that it lets through."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.cases import Deployment
from benchmarks.introspections import costs, failures
from benchmarks.measurements import Row
from benchmarks.questions import forward_auth


def rows(bench: Bench, deployment: Deployment) -> Iterator[Row]:
    """Yield what it costs to let in one token again and again, as behind a proxy it comes."""
    with bench.serving(deployment) as (instance, server):
        storage = bench.storage(deployment.database)
        cost = bench.cost(forward_auth(instance, server), storage=storage)
        yield Row(
            section=f"{deployment.name}: gates",
            name="forward-auth, one token",
            values=costs(bench, cost),
            note=failures(cost.burst.failures),
        )
