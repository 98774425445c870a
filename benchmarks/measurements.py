"""Rows: what was measured, line by line, as the table shows it and the results keep it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Goal(NamedTuple):
    """What is wanted: the value of this name is at least, or at most, so much.

    ``tokens``: only of a database that holds so many; None: of any.
    """

    of: str
    at_least: float | None = None
    at_most: float | None = None
    tokens: int | None = None

    def at(self, tokens: int) -> Goal | None:
        """Return the goal for a database with so many tokens, None where nothing is wanted."""
        return self if self.tokens in (None, tokens) else None

    def is_met(self, value: float) -> bool:
        """Return whether the value is within the goal."""
        low, high = self.at_least, self.at_most
        return (low is None or value >= low) and (high is None or value <= high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line: a case and its numbers by name; a name that is missing was not measured.

    Names carry their unit. ``ratio`` is the constant handler's CPU time a request divided by
    this one's, ``flatness`` that of the smallest size divided by this one's. ``is_broken``: the
    part of the run that should have measured it has failed.
    """

    section: str
    name: str
    values: dict[str, float] = field(default_factory=dict)
    goal: Goal | None = None
    note: str = ""
    is_broken: bool = False

    @property
    def is_met(self) -> bool | None:
        """Return whether the goal is met; None where there is none, or nothing was measured."""
        if self.goal is None or self.goal.of not in self.values:
            return None
        return self.goal.is_met(self.values[self.goal.of])

    def document(self) -> dict[str, Any]:
        """Return the row for a JSON document."""
        goal = None if self.goal is None else self.goal._asdict()
        values = {name: round(value, 3) for name, value in self.values.items()}
        return dataclasses.asdict(self) | {"values": values, "goal": goal, "is_met": self.is_met}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Row:
        """Return the row that was written down like this."""
        goal = document["goal"] and Goal(**document["goal"])
        own = {one.name: document[one.name] for one in dataclasses.fields(cls)}
        return cls(**own | {"goal": goal})


@dataclass(frozen=True, slots=True)
class Run:
    """All rows of a run, the day it was made on, and what machine and software they depend on."""

    day: str
    facts: dict[str, str | int]
    rows: tuple[Row, ...]

    def document(self) -> dict[str, Any]:
        """Return the run for a JSON document."""
        rows = [row.document() for row in self.rows]
        return {"day": self.day, "machine": self.facts, "rows": rows}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Run:
        """Return the run that was written down like this."""
        rows = tuple(map(Row.from_document, document["rows"]))
        return cls(document["day"], document["machine"], rows)
