from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import START, ManualClock
from tokensrv import clock as clocks
from tokensrv.clock import SystemClock

MOMENTS = st.datetimes(timezones=st.just(UTC))


@given(MOMENTS)
def test_a_moment_comes_back_cut_to_milliseconds(moment: datetime) -> None:
    found = clocks.from_ms(clocks.to_ms(moment))
    assert found == moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert found.tzinfo is UTC


@given(st.integers(-(10**13), 10**14))
def test_milliseconds_come_back_exactly(milliseconds: int) -> None:
    assert clocks.to_ms(clocks.from_ms(milliseconds)) == milliseconds


def test_another_time_zone_is_the_same_moment() -> None:
    moment = datetime(2026, 3, 10, 13, tzinfo=timezone(timedelta(hours=1)))
    assert clocks.to_ms(moment) == clocks.to_ms(START)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        pytest.param(START, "2026-03-10T12:00:00.000Z", id="whole second"),
        pytest.param(
            START.replace(microsecond=7999), "2026-03-10T12:00:00.007Z", id="cut, not rounded"
        ),
    ],
)
def test_iso_8601_with_milliseconds(moment: datetime, text: str) -> None:
    assert clocks.isoformat(moment) == text


@given(MOMENTS)
def test_iso_8601_is_read_back_as_the_moment(moment: datetime) -> None:
    text = clocks.isoformat(moment)
    assert datetime.fromisoformat(text) == clocks.from_ms(clocks.to_ms(moment))


def test_midnight_is_when_the_day_begins_in_utc() -> None:
    assert clocks.midnight(date(2026, 3, 11)) == datetime(2026, 3, 11, tzinfo=UTC)


def test_today_changes_at_midnight_in_utc(clock: ManualClock) -> None:
    clock.set(datetime(2026, 3, 10, 23, 59, 59, 999000, tzinfo=UTC))
    assert clocks.today(clock) == date(2026, 3, 10)
    clock.advance(seconds=0.001)
    assert clocks.today(clock) == date(2026, 3, 11)
    assert clocks.utcnow(clock) == datetime(2026, 3, 11, tzinfo=UTC)


def test_the_system_clock_is_the_real_time() -> None:
    before, found, after = time.time(), SystemClock().now_ms(), time.time()
    assert int(before * 1000) <= found <= after * 1000


def test_the_system_clock_measures_lengths_of_time() -> None:
    clock = SystemClock()
    begin = clock.monotonic()
    time.sleep(0.01)
    assert 0.01 <= clock.monotonic() - begin < 5
