"""Table: which scopes the settings require for a method and a path, line by line.

Pure functions. The lines were checked when the settings were read (``config.values.scope_lines``).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from tokensrv.domain.gates import Obstacle
from tokensrv.gate.original import Original


class Line(NamedTuple):
    """For these methods (none: all) on this path and below, all of these scopes are required."""

    methods: frozenset[str]
    prefix: str
    scopes: tuple[str, ...]

    def fits(self, original: Original) -> bool:
        """Return whether the line is about this request, whose path is judgeable."""
        return (not self.methods or original.method in self.methods) and (
            # Whole segments: what is below /api is not what begins like it.
            f"{original.path}/".startswith(f"{self.prefix}/")
        )


def required(lines: tuple[str, ...], original: Original) -> tuple[str, ...] | Obstacle:
    """Return the scopes of the first line that fits, none without any line.

    An obstacle for what no line fits, and for a request that lines cannot be held against.
    """
    if not lines:
        return ()
    if not original.method or not original.is_judgeable:
        return Obstacle.REQUEST
    # What follows a ";" in a segment is a part of its name to one service and none to another.
    found = {_scopes(lines, seen) for seen in (original, original.without_parameters())}
    return found.pop() if len(found) == 1 else Obstacle.REQUEST


def _scopes(lines: tuple[str, ...], original: Original) -> tuple[str, ...] | Obstacle:
    fitting = (line.scopes for line in _parsed(lines) if line.fits(original))
    return next(fitting, Obstacle.RULE)


@lru_cache(maxsize=8)
def _parsed(lines: tuple[str, ...]) -> tuple[Line, ...]:
    return tuple(_line(*line.split()) for line in lines)


def _line(methods: str, prefix: str, *scopes: str) -> Line:
    names = frozenset() if methods == "*" else frozenset(methods.split(","))
    return Line(names, prefix.rstrip("/"), scopes)
