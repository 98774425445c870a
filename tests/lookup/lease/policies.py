"""Who goes on: at random, or as in an earlier run."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol


class Policy(Protocol):
    """Who goes on."""

    def choose(self, names: Sequence[str], current: str) -> str | None:
        """Return one of the names, or None: from now on everything goes well."""


class AtRandom:
    """Everybody with a weight of his own, so that some stand still for long, and in bouts."""

    def __init__(self, seed: int, steps: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 -- nothing secret: it is to be repeatable.
        self._left = steps
        self._persistence = self._random.choice((0.3, 0.6, 0.9))
        self._weights: dict[str, float] = {}

    def choose(self, names: Sequence[str], current: str) -> str | None:
        self._left -= 1
        if self._left < 0:
            return None
        if current in names and self._random.random() < self._persistence:
            return current
        weights = [self._weight(name) for name in names]
        return self._random.choices(names, weights)[0]

    def _weight(self, name: str) -> float:
        if name not in self._weights:
            self._weights[name] = self._random.choice((0.05, 0.5, 1, 4))
        return self._weights[name]


class Replay:
    """The choices of an earlier run; one that is not possible now is left out."""

    def __init__(self, choices: Iterable[str]) -> None:
        self._choices: Iterator[str] = iter(choices)

    def choose(self, names: Sequence[str], current: str) -> str | None:
        return next((name for name in self._choices if name in names), None)
