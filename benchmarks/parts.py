"""The parts of a run, in their order; one that breaks costs its own rows and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from subprocess import SubprocessError

import httpx

from benchmarks import administration, gates, introspections, others
from benchmarks.bench import Bench
from benchmarks.cases import Database, Deployment, Sizes, cases
from benchmarks.measurements import Goal, Row
from benchmarks.writers import longest_waits
from tokensrv.errors import TokensrvError

Part = Callable[[], Iterator[Row]]

_WORKERS = 2
_BROKEN = (SubprocessError, httpx.HTTPError, OSError, RuntimeError, TokensrvError)
_QUEUED = Goal("of_busy_timeout", at_most=0.1)


def rows(bench: Bench, sizes: Sizes, *, is_quick: bool) -> Iterator[Row]:
    """Yield every row of a run as it is measured; the constant handler's come last."""
    measured: list[Row] = []
    for name, part in _parts(bench, sizes, is_quick=is_quick):
        try:
            for row in part():
                measured.append(row)
                yield row
        except _BROKEN as error:
            # A long run is worth its other rows.
            yield Row(section=name, name="broken off", note=str(error), is_broken=True)
    yield from others.compared(measured)
    yield introspections.constant(bench)


def _parts(bench: Bench, sizes: Sizes, *, is_quick: bool) -> Iterator[tuple[str, Part]]:
    yield introspections.REFERENCE, partial(introspections.empty_view, bench)
    wanted = cases(sizes, is_quick=is_quick)
    for deployment, those in groupby(wanted, key=lambda case: case.deployment):
        yield deployment.name, partial(introspections.rows, bench, deployment, list(those))
    for database in Database:
        smallest = Deployment(database, sizes[database][0])
        yield smallest.name, partial(gates.rows, bench, smallest)
    if not is_quick:
        for database in Database:
            large = Deployment(database, sizes[database][-1])
            yield large.name, partial(administration.lists, bench, large)
    for database in Database:
        small = Deployment(database, sizes[database][0], workers=_WORKERS)
        yield small.name, partial(administration.writes, bench, small)
    yield "writers", partial(_writers, bench)
    if not is_quick:
        yield others.SECTION, partial(others.rows, bench)


def _writers(bench: Bench) -> Iterator[Row]:
    with bench.cores.all_of_them():
        told = longest_waits(bench.seconds)
    queued, alone = (told[way]["longest_wait_ms"] for way in ("queue", "busy_timeout"))
    section = f"SQLite: {told['writers']} writers in {told['processes']} processes"
    values = {"longest_ms": queued, "of_busy_timeout": queued / alone}
    yield Row(section=section, name="in tokensrv's queue", values=values, goal=_QUEUED)
    yield Row(section=section, name="with busy_timeout alone", values={"longest_ms": alone})
