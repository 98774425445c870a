"""The table: the rows of a run as people read them, on a terminal and in the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from benchmarks.measurements import Row, Run


class Column(NamedTuple):
    """A value by its name, the head above it, and how it is written."""

    value: str
    head: str
    format: str

    def cell(self, row: Row) -> str:
        """Return the value of the row, nothing where it has none."""
        return self.format.format(row.values[self.value]) if self.value in row.values else ""


COLUMNS = (
    Column("requests_per_second", "requests/s", "{:,.0f}"),
    Column("cpu_us", "CPU µs", "{:,.1f}"),
    Column("storage_cpu_us", "database µs", "{:,.1f}"),
    Column("ratio", "ratio", "{:.2f}"),
    Column("flatness", "flat", "{:.2f}"),
    Column("p50_ms", "p50 ms", "{:.2f}"),
    Column("p99_ms", "p99 ms", "{:.2f}"),
    Column("longest_ms", "longest ms", "{:,.1f}"),
    Column("memory_mb", "MiB/worker", "{:.0f}"),
    Column("startup_s", "start s", "{:.1f}"),
)
_WORDS = {
    "ratio": "ratio",
    "flatness": "flat",
    "p99_ms": "p99 ms",
    "requests_per_second": "requests/s",
    "of_fastest_peer": "of the fastest other's CPU time",
    "of_busy_timeout": "of the wait without it",
}


def table(run: Run) -> Table:
    """Return the table of a run for a terminal."""
    found = Table(caption=legend(run), caption_justify="left", header_style="bold")
    found.add_column("")
    for column in COLUMNS:
        found.add_column(column.head, justify="right", no_wrap=True)
    found.add_column("wanted")
    for section, rows in sections(run):
        found.add_section()
        found.add_row(Text(section, style="bold"))
        for row in rows:
            style = {True: "green", False: "red", None: ""}[row.is_met]
            cells = (column.cell(row) for column in COLUMNS)
            found.add_row(f"  {row.name}", *cells, Text(wanted(row), style=style))
    return found


def sections(run: Run) -> Iterator[tuple[str, Sequence[Row]]]:
    """Yield what belongs together, in the order of the run."""
    for section, rows in groupby(run.rows, key=lambda row: row.section):
        yield section, list(rows)


def legend(run: Run) -> str:
    """Return on what the run was made, and how its numbers are meant."""
    versions = ", ".join(f"{name} {value}" for name, value in run.facts.items())
    return (
        f"{run.day}: {versions}. wrk and PostgreSQL have the first core; one worker has the last,"
        " two have the last two, beside wrk if there are no more. CPU µs: what the server's"
        " processes used per answer; database µs: what PostgreSQL's did. Ratio: the CPU time of a"
        " constant answer, measured before and after, divided by this one's. Flat: the CPU time"
        " of the same tokens in the smallest database, divided by this one's. p50 and p99 of"
        " introspections: at half of the requests/s, begun at random moments; of lists and"
        " revocations: one after the other."
    )


def wanted(row: Row) -> str:
    """Return what is wanted of the row, whether it is met, and what there is to say."""
    said = [row.note] if row.note else []
    if row.goal is not None:
        sign, bound = "≥", row.goal.at_least
        if bound is None:
            sign, bound = "≤", row.goal.at_most
        size = "" if row.goal.tokens is None else f"at {row.goal.tokens:,} tokens: "
        said.insert(0, f"{size}{_WORDS[row.goal.of]} {sign} {bound:g}{_outcome(row)}")
    return "; ".join(said)


def _outcome(row: Row) -> str:
    if row.goal is None or row.is_met is None:
        return ""
    return f": {row.values[row.goal.of]:.3g}, {'met' if row.is_met else 'missed'}"
