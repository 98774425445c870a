"""Forms: what somebody filled in, and what is wrong with it, beside the field that it is about.

Values are judged by the services; here their refusals are put into people's words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from typing import Final

from werkzeug.datastructures import MultiDict

from tokensrv.errors import (
    AlreadyRevoked,
    Invalid,
    LifetimeExceeded,
    NotNarrower,
    ScopesNotHeld,
    Taken,
    TokensrvError,
)

# What a form is shown again for; anything else is an error page.
REFUSALS: Final = (AlreadyRevoked, Invalid, LifetimeExceeded, NotNarrower, ScopesNotHeld, Taken)
# What concerns no field, or one that is not shown, stands above the form.
WHOLE: Final = ""


class Form:
    """The values of a form, as they were given, and its errors by field."""

    def __init__(
        self, values: MultiDict[str, str], *, defaults: Mapping[str, str] | None = None
    ) -> None:
        self._values = values
        self._defaults = dict(defaults or {})
        self.errors: defaultdict[str, list[str]] = defaultdict(list)

    def text(self, name: str) -> str:
        """Return a value without the blanks around it, the default or "" when it is not given."""
        return self._values.get(name, self._defaults.get(name, "")).strip()

    def raw(self, name: str) -> str:
        """Return a value exactly as it was typed, as passwords are."""
        return self._values.get(name, "")

    def twice(self, name: str, again: str) -> str:
        """Return what was typed twice, as new passwords are; a difference becomes an error."""
        typed = self.raw(name)
        if typed != self.raw(again):
            self.refuse(again, "This is not the same.")
        return typed

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a field that may be given several times, blanks left out."""
        return tuple(value for value in self._values.getlist(name) if value.strip())

    def lines(self, name: str) -> tuple[str, ...]:
        """Return the words of a field in which blanks, commas and lines separate."""
        return tuple(self.text(name).replace(",", " ").split())

    def day(self, name: str) -> date | None:
        """Return a day, None when none is given; what is no day becomes an error."""
        text = self.text(name)
        if not text:
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            self.refuse(name, "This is not a date: write it as 2027-01-31.")
            return None

    def number(self, name: str) -> int | None:
        """Return a positive whole number, None when none is given; another becomes an error."""
        text = self.text(name)
        if not text:
            return None
        if text.isdecimal() and text.isascii() and len(text) <= 18:
            return int(text)
        self.refuse(name, "This is not a number.")
        return None

    def has(self, name: str) -> bool:
        """Return whether a field was given at all."""
        return name in self._values

    def is_checked(self, name: str) -> bool:
        """Return whether a box is ticked."""
        return self.has(name)

    def refuse(self, name: str, sentence: str) -> None:
        """Add an error beside a field."""
        self.errors[name].append(sentence)

    def refuse_by(self, problem: TokensrvError, fields: Mapping[str, str] | None = None) -> None:
        """Add what a service refused; ``fields`` are the names that the form has for its own."""
        name, sentence = _put(problem)
        self.refuse((fields or {}).get(name, name), sentence)

    @property
    def is_good(self) -> bool:
        """Return whether nothing was refused so far."""
        return not self.errors


def _put(problem: TokensrvError) -> tuple[str, str]:
    """Return the service's name of the field, and a sentence."""
    if isinstance(problem, LifetimeExceeded):
        return "expires_at", f"The latest possible day is {problem.last_day.isoformat()}."
    if isinstance(problem, ScopesNotHeld):
        return "scopes", f"Not yours to give: {', '.join(problem.missing)}."
    if isinstance(problem, Taken):
        return problem.field.lower(), "It belongs to somebody else already."
    if isinstance(problem, Invalid):
        return problem.field, _SENTENCES.get((problem.field, problem.problem)) or _sentence(problem)
    return WHOLE, f"{problem}".rstrip(".") + "."


_SENTENCES: Final = {
    ("scopes", "is missing"): "At least one scope is required.",
    ("auth_methods", "is empty"): "At least one way is required.",
    ("expires_at", "is invalid"): "The day must lie after today.",
    ("prefix", "is invalid"): "Write whole parts of a path, such as team/app, or / for everything.",
}


def _sentence(problem: Invalid) -> str:
    words = problem.problem
    if words == "is missing" or words == "can't be blank":
        return "This is required."
    if words == "is invalid":
        return "This is not valid."
    return f"This {words}."
