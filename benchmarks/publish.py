"""Publishing: one run becomes what the documentation shows, its numbers, picture and table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.budget import budget
from benchmarks.cases import Database
from benchmarks.measurements import Run
from benchmarks.picture import picture
from benchmarks.table import COLUMNS, legend, sections, wanted

_REPOSITORY = Path(__file__).parents[1]
LATEST = Path(__file__).parent / "results" / "latest.json"
PICTURE = _REPOSITORY / "docs" / "performance.svg"
PAGE = _REPOSITORY / "docs" / "performance.md"


def publish(run: Run) -> None:
    """Make this run the one that the documentation shows."""
    LATEST.write_text(text(run), encoding="utf-8")
    # As it was written down, so that nothing is rounded from more digits than the file has.
    run = latest()
    PICTURE.write_text(picture(run), encoding="utf-8")
    PAGE.write_text(with_numbers(PAGE.read_text(encoding="utf-8"), run), encoding="utf-8")


def latest() -> Run:
    """Return the run that the documentation shows."""
    return Run.from_document(json.loads(LATEST.read_text(encoding="utf-8")))


def text(run: Run) -> str:
    """Return the run as the text of a JSON file."""
    return json.dumps(run.document(), indent=1, ensure_ascii=False) + "\n"


def with_numbers(page: str, run: Run) -> str:
    """Return the page with the run's tables where they belong."""
    return with_lines(with_lines(page, "budget", _budget(run)), "numbers", _numbers(run))


def with_lines(page: str, name: str, lines: Iterable[str]) -> str:
    """Return the page with these lines between its marks of this name."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    head, _, rest = page.partition(begin)
    table = "\n".join(lines)
    return f"{head}{begin}\n{table}\n\n{end}{rest.partition(end)[2]}"


def _budget(run: Run) -> Iterator[str]:
    yield _line("CPU µs", *(database.value for database in Database))
    yield _line("---", *("--:" for _ in Database))
    for step, costs in budget(run):
        cells = (f"{costs[one]:.1f}" if one in costs else "" for one in Database)
        yield _line(step, *cells)


def _numbers(run: Run) -> Iterator[str]:
    for section, rows in sections(run):
        columns = [column for column in COLUMNS if any(map(column.cell, rows))]
        yield _line(section, *(column.head for column in columns), "wanted")
        yield _line("---", *("--:" for _ in columns), "---")
        for row in rows:
            yield _line(row.name, *(column.cell(row) for column in columns), wanted(row))
        yield ""
    yield legend(run)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
