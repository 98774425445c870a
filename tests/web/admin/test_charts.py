"""Where the bars of a chart stand."""

from __future__ import annotations

import pytest

from tokensrv.web.admin.charts import HEIGHT, WIDTH, Bar, Chart


def _chart(*values: tuple[int | None, ...], places: int | None = None) -> Chart:
    bars = tuple(Bar(str(place), numbers) for place, numbers in enumerate(values))
    series = tuple("abc"[: len(values[0])]) if values else ("a",)
    return Chart(title="", first="", series=series, bars=bars, marks=(), places=places)


def test_values_stand_on_top_of_each_other_and_the_highest_bar_is_as_high_as_the_chart() -> None:
    chart = _chart((30, 10), (20, 0))
    first, on_top, second = chart.blocks()
    assert (first.height, on_top.height, second.height) == (75, 25, 50)
    assert (first.y, on_top.y, second.y) == (25, 0, 50)
    assert first.x == on_top.x == 0
    assert second.x == WIDTH / 2
    assert [block.series for block in (first, on_top, second)] == [0, 1, 0]
    assert chart.totals == (50, 10)


def test_bars_do_not_touch_and_leave_room_for_those_to_come() -> None:
    first, second = _chart((1,), (1,), places=10).blocks()
    assert first.width < second.x == WIDTH / 10


def test_what_is_tiny_can_be_seen_and_what_is_nothing_is_not_there() -> None:
    large, tiny = _chart((1_000_000,), (1,), (0,)).blocks()
    assert large.height == HEIGHT
    assert tiny.height > 1


def test_what_is_not_known_is_not_drawn_as_a_number() -> None:
    known, unknown = _chart((3,), (None,)).blocks()
    assert known.series == 0
    assert (unknown.series, unknown.height) == (None, HEIGHT)


@pytest.mark.parametrize("values", [(), ((0,),), ((0, 0), (0, 0))])
def test_without_any_number_nothing_is_drawn(values: tuple[tuple[int, ...], ...]) -> None:
    assert list(_chart(*values).blocks()) == []
