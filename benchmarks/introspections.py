"""Introspections under full load and at half of it: the rows that the goals are about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from benchmarks import paced
from benchmarks.bench import Bench, reference
from benchmarks.cases import Case, Deployment, Tokens
from benchmarks.instances import Instance, Server
from benchmarks.load import Cost
from benchmarks.measurements import Row
from benchmarks.questions import introspection

REFERENCE = "beside them, 1 worker"
# Above this the paced client itself is what one measures.
_FASTEST_PACED = 15_000


def rows(bench: Bench, deployment: Deployment, cases: Iterable[Case]) -> Iterator[Row]:
    """Yield the rows of the cases of one deployment."""
    with bench.serving(deployment) as (instance, server):
        startup_s = server.startup_s
        for case in cases:
            row = _measured(bench, case, instance, server)
            row.values["startup_s"] = startup_s
            if case.tokens is Tokens.FIRST:
                smallest_us = bench.smallest_us.setdefault(deployment.database, _total_us(row))
                row.values["flatness"] = smallest_us / _total_us(row)
            yield row


def _measured(bench: Bench, case: Case, instance: Instance, server: Server) -> Row:
    database, workers = case.deployment.database, case.deployment.workers
    endpoint = introspection(case, instance, server)
    cost = bench.cost(
        endpoint,
        storage=bench.storage(database),
        # Those of one token after another are what a cache may hold.
        until_all=case.tokens is Tokens.FIRST,
    )
    values = costs(bench, cost)
    values["memory_mb"] = server.memory_mb()
    note, rate = "", cost.burst.rate / 2
    if bench.cores.are_apart(workers) and rate < _FASTEST_PACED:
        times = paced.ask(endpoint, rate=rate, seconds=bench.seconds)
        values |= {"p50_ms": times.p50_ms, "p99_ms": times.p99_ms}
        note = failures(times.failures)
    return Row(
        section=case.deployment.name,
        name=case.name,
        values=values,
        goal=case.goal,
        note=note or failures(cost.burst.failures),
    )


def costs(bench: Bench, cost: Cost) -> dict[str, float]:
    """Return the numbers of what was measured last, by name."""
    storage = {} if cost.storage_cpu_us is None else {"storage_cpu_us": cost.storage_cpu_us}
    return {
        "requests_per_second": cost.burst.rate,
        "cpu_us": cost.cpu_us,
        **storage,
        "ratio": bench.constant_us() / cost.cpu_us,
    }


def failures(count: int) -> str:
    """Return what a note says of so many wrong answers."""
    return f"{count} answers failed" if count else ""


def _total_us(row: Row) -> float:
    return row.values["cpu_us"] + row.values.get("storage_cpu_us", 0)


def empty_view(bench: Bench) -> Iterator[Row]:
    """Yield the row of a Flask view that does nothing."""
    with reference("empty", bench.folder, bench.cores) as endpoint:
        values = costs(bench, bench.cost(endpoint))
    yield Row(section=REFERENCE, name="an empty Flask view", values=values)


def constant(bench: Bench) -> Row:
    """Return the row of the constant handler: the mean of all its measurements."""
    costs = bench.constants
    values = {
        "requests_per_second": sum(cost.burst.rate for cost in costs) / len(costs),
        "cpu_us": sum(cost.cpu_us for cost in costs) / len(costs),
        "ratio": 1.0,
    }
    low, high = min(costs, key=lambda cost: cost.cpu_us), max(costs, key=lambda cost: cost.cpu_us)
    note = f"{len(costs)} times, {low.cpu_us:.1f} to {high.cpu_us:.1f} µs"
    return Row(section=REFERENCE, name="a constant answer", values=values, note=note)
