"""The budget: where the CPU time of an introspection goes, from cases that differ in one step."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.cases import Database, Tokens
from benchmarks.measurements import Run

# A step, and the two cases between which it is the difference; None: the constant answer.
_STEPS: tuple[tuple[str, Tokens, Tokens | None], ...] = (
    ("reading the request, finding and authenticating the client", Tokens.SHAPELESS, None),
    (
        "finding the token and its owner too, deciding, answering",
        Tokens.HUNDRED,
        Tokens.SHAPELESS,
    ),
    ("more for a sudo that is on record for this minute", Tokens.SUDO, Tokens.HUNDRED),
)


def budget(run: Run) -> Iterator[tuple[str, dict[Database, float]]]:
    """Yield each step with its CPU time in µs on the databases where it was measured."""
    constant = next(row.values["cpu_us"] for row in run.rows if row.values.get("ratio") == 1)
    yield "receiving and answering anything at all", dict.fromkeys(Database, constant)
    costs = {database: _costs(run, database) for database in Database}
    for step, with_it, without in _STEPS:
        yield (
            step,
            {
                database: found[with_it] - (constant if without is None else found[without])
                for database, found in costs.items()
                if with_it in found and (without is None or without in found)
            },
        )


def _costs(run: Run, database: Database) -> dict[Tokens, float]:
    """Return the CPU time of each case on the deployment that was asked everything."""
    found: dict[Tokens, float] = {}
    for row in run.rows:
        if not row.section.startswith(f"{database.value},") or "cpu_us" not in row.values:
            continue
        for tokens in Tokens:
            if row.name == tokens.value:
                # It comes before the larger ones and those with more workers.
                found.setdefault(tokens, row.values["cpu_us"])
    return found
