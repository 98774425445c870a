"""``make bench``: one run, one table.

    python -m benchmarks [--quick] [--sizes 10_000,1_000_000] [--folder FOLDER] [--publish]

The data are made in a folder that is removed afterwards. One that is given stays, so that the next
run finds its millions of tokens there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.console import Console

from benchmarks import bench, machine, parts
from benchmarks.cases import Database, Sizes
from benchmarks.instances import forget_settings
from benchmarks.measurements import Run
from benchmarks.peers.processes import missing
from benchmarks.publish import publish, text
from benchmarks.table import table, wanted
from tokensrv.clock import SystemClock, today

_SIZES, _QUICK_SIZES = (10_000, 1_000_000), (10_000,)
_SECONDS, _QUICK_SECONDS = 3, 2
_PIPED_WIDTH = 170


def _read_sizes(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(size) for size in (value or "").split(",") if size}))
    except ValueError:
        raise click.BadParameter("it must be whole numbers with commas between them.") from None


@click.command()
@click.option("--quick", is_flag=True, help="In two minutes: one size, short loads, no others.")
@click.option("--sizes", callback=_read_sizes, help="Tokens in the database: 10_000,10_000_000.")
@click.option(
    "--postgres-at-most",
    type=click.IntRange(min=1),
    help="Tokens in the largest database of PostgreSQL, which takes longest to fill.",
)
@click.option("--folder", type=click.Path(path_type=Path), help="Where the data stay.")
@click.option("--output", type=click.Path(path_type=Path), help="Where the numbers go, as JSON.")
@click.option("--publish", "is_published", is_flag=True, help="Show the run in the documentation.")
def command(
    *,
    quick: bool,
    sizes: tuple[int, ...],
    postgres_at_most: int | None,
    folder: Path | None,
    output: Path | None,
    is_published: bool,
) -> None:
    """Measure tokensrv beside a constant answer and beside other services."""
    if why_not := missing("wrk", "taskset"):
        raise click.ClickException(f"{why_not}; on Debian: apt install wrk util-linux.")
    forget_settings()
    with _kept(folder) as kept:
        chosen = _of_each(sizes or (_QUICK_SIZES if quick else _SIZES), postgres_at_most)
        run = _run(kept, chosen, is_quick=quick)
    screen = Console()
    if not screen.is_terminal:
        screen.width = _PIPED_WIDTH
    screen.print(table(run))
    if output is not None:
        output.write_text(text(run), encoding="utf-8")
    if is_published:
        publish(run)
    sys.exit(any(row.is_broken for row in run.rows))


def _of_each(sizes: tuple[int, ...], postgres_at_most: int | None) -> Sizes:
    limited = sizes
    if postgres_at_most is not None:
        limited = tuple(sorted({min(size, postgres_at_most) for size in sizes}))
    return {Database.SQLITE: sizes, Database.POSTGRES: limited}


def _run(folder: Path, sizes: Sizes, *, is_quick: bool) -> Run:
    progress = Console(stderr=True)
    with bench.running(folder, _QUICK_SECONDS if is_quick else _SECONDS) as running:
        rows = []
        for row in parts.rows(running, sizes, is_quick=is_quick):
            values = (f"{name} {value:.4g}" for name, value in row.values.items())
            told = f"{row.section}: {row.name}: {', '.join(values)} {wanted(row)}"
            progress.print(told, highlight=False, markup=False, soft_wrap=True)
            rows.append(row)
        facts = machine.facts(len(running.cores.allowed), running.postgres.version)
    # The constant answer is what the others stand beside, but is known last.
    return Run(today(SystemClock()).isoformat(), facts, (rows[-1], *rows[:-1]))


@contextmanager
def _kept(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder.absolute()
        return
    with TemporaryDirectory(prefix="tokensrv-bench-") as made:
        # PostgreSQL runs as a user of its own where this one is root.
        Path(made).chmod(0o711)
        yield Path(made)


if __name__ == "__main__":
    command()
