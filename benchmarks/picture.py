"""The picture of a run: what an introspection costs, tokensrv beside other services, as SVG.

It needs no font, script or file of its own, and follows the reader's choice of light or dark.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import NamedTuple

from benchmarks.cases import GOALS
from benchmarks.measurements import Row, Run
from benchmarks.others import SECTION

_WIDTH, _TOP, _STEP, _BAR = 860, 92, 38, 22
_LEFT, _RIGHT = 312, 780
_STYLE = """
  text { font: 15px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
  .title { font-size: 19px; font-weight: 600; }
  .quiet { font-size: 13px; fill: #59636e; }
  .name { text-anchor: end; }
  .own .name, .own .value { font-weight: 600; }
  .bar { fill: #b6bec8; }
  .own .bar { fill: #0f8a6d; }
  .floor .bar { fill: none; stroke: #8c959f; stroke-dasharray: 3 3; }
  .value { font-variant-numeric: tabular-nums; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .quiet { fill: #9198a1; }
    .bar { fill: #545d68; }
    .own .bar { fill: #2bc59b; }
    .floor .bar { stroke: #848d97; }
  }
"""


class _Bar(NamedTuple):
    kind: str
    name: str
    cpu_us: float


def picture(run: Run) -> str:
    """Return the picture of a run as the text of an SVG file."""
    bars = list(_bars(run))
    longest = max(bar.cpu_us for bar in bars)
    height = _TOP + _STEP * len(bars) + 44
    told = ", ".join(f"{bar.name} {bar.cpu_us:,.0f} µs" for bar in bars)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
        f' width="{_WIDTH}" height="{height}" role="img" aria-labelledby="title told">',
        '<title id="title">CPU time of one introspection</title>',
        f'<desc id="told">{escape(told)}.</desc>',
        f"<style>{_STYLE}</style>",
        '<text class="title" x="24" y="38">CPU time of one introspection, in µs</text>',
        '<text class="quiet" x="24" y="62">Shorter is better. Hot tokens, one core,'
        " the others as benchmarks/peers sets them up.</text>",
    ]
    for number, bar in enumerate(bars):
        lines += _drawn(bar, _TOP + _STEP * number, bar.cpu_us / longest)
    lines += [
        f'<text class="quiet" x="24" y="{height - 18}">{escape(_source(run))}</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _bars(run: Run) -> Iterator[_Bar]:
    constant = next(row for row in run.rows if row.values.get("ratio") == 1)
    yield _Bar("floor", "Granian, a constant answer", constant.values["cpu_us"])
    for database, wanted in reversed(GOALS.items()):
        row = next((row for row in run.rows if row.goal == wanted and row.values), None)
        if row is not None:
            yield _Bar("own", f"tokensrv, {database.value}", row.values["cpu_us"])
    others = [row for row in run.rows if row.section == SECTION and "cpu_us" in row.values]
    for row in sorted(others, key=_cpu_us):
        yield _Bar("other", row.name, _cpu_us(row))


def _cpu_us(row: Row) -> float:
    return row.values["cpu_us"]


def _drawn(bar: _Bar, top: int, share: float) -> list[str]:
    width = max(2, round((_RIGHT - _LEFT) * share))
    middle = top + _BAR / 2 + 5
    return [
        f'<g class="{bar.kind}">',
        f'<text class="name" x="{_LEFT - 12}" y="{middle:g}">{escape(bar.name)}</text>',
        f'<rect class="bar" x="{_LEFT}" y="{top}" width="{width}" height="{_BAR}" rx="3"/>',
        f'<text class="value" x="{_LEFT + width + 10}" y="{middle:g}">{bar.cpu_us:,.0f}</text>',
        "</g>",
    ]


def _source(run: Run) -> str:
    facts = run.facts
    return (
        f"make bench, {run.day}: {facts['cpu']}, {facts['cores']} cores, Python {facts['python']}"
    )
