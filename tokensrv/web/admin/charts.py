"""Charts: where each bar stands and how high it is, for the macros that draw them.

A chart is a field of ``WIDTH`` by ``HEIGHT`` without any text in it, so that it can be stretched;
words stand around it, and the numbers in a table below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 1000
HEIGHT: Final = 100
# The part of its place that a bar fills, and the least that can be seen of one.
_FILLED: Final = 0.8
_LEAST: Final = 1.5


@dataclass(frozen=True, slots=True)
class Bar:
    """One place of a chart: what it is called, and a value for each series; None: not known."""

    label: str
    values: tuple[int | None, ...]

    @property
    def total(self) -> int:
        """Return the sum of what is known."""
        return sum(value or 0 for value in self.values)

    @property
    def is_unknown(self) -> bool:
        """Return whether a value is not known."""
        return None in self.values


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle of a bar; ``series`` None: its height says nothing."""

    x: float
    y: float
    width: float
    height: float
    series: int | None
    bar: Bar


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Bars that stand beside each other, the values of each on top of each other.

    ``first`` names the column of the labels, ``marks`` stand below at equal distances.
    ``places``: for how many bars there is room, None: for those that there are.
    """

    title: str
    first: str
    series: tuple[str, ...]
    bars: tuple[Bar, ...]
    marks: tuple[str, ...]
    places: int | None = None

    @property
    def top(self) -> int:
        """Return the largest sum, which is as high as the chart."""
        return max((bar.total for bar in self.bars), default=0)

    @property
    def totals(self) -> tuple[int, ...]:
        """Return the sum of each series over all bars."""
        return tuple(
            sum(bar.values[place] or 0 for bar in self.bars) for place in range(len(self.series))
        )

    def blocks(self) -> Iterator[Block]:
        """Yield the rectangles, from the left to the right and from below."""
        step = WIDTH / (self.places or len(self.bars) or 1)
        width = round(step * _FILLED, 2)
        for place, bar in enumerate(self.bars):
            x, y = round(place * step, 2), float(HEIGHT)
            if bar.is_unknown:
                yield Block(x, 0, width, HEIGHT, None, bar)
                continue
            for series, value in enumerate(bar.values):
                if value:
                    height = max(round(HEIGHT * value / self.top, 2), _LEAST)
                    y -= height
                    yield Block(x, round(y, 2), width, height, series, bar)
