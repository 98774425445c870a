"""Tallies: what all processes counted, hour by hour."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.conftest import START, ManualClock, QueryRecorder
from tests.services.conftest import at_once, failing
from tokensrv.db import Store
from tokensrv.errors import StorageUnavailable
from tokensrv.services.metering.metrics import Metrics
from tokensrv.services.reports.tallies import KEPT, Tallies, counted
from tokensrv.services.trail.usage import Usage

HOUR = timedelta(hours=1)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def tallies(store: Store, metrics: Metrics) -> Tallies:
    return Tallies(store, metrics)


def _counts(store: Store) -> dict[tuple[str, str, int], int]:
    """Return the counts by kind, outcome and the hours since the beginning of the test."""
    return {
        (one.kind, one.outcome, (one.hour - START) // HOUR): one.count
        for one in counted(store, START - 10 * KEPT)
    }


def test_counts_are_added_to_their_hour(
    store: Store, metrics: Metrics, tallies: Tallies, clock: ManualClock
) -> None:
    metrics.introspected("active")
    tallies.flush()
    clock.advance(seconds=3_599)
    for _ in range(2):
        metrics.introspected("active")
    metrics.sudo("used")
    tallies.flush()
    clock.advance(seconds=1)
    metrics.introspected("active")
    tallies.flush()
    assert _counts(store) == {
        ("introspection", "active", 0): 3,
        ("sudo", "used", 0): 1,
        ("introspection", "active", 1): 1,
    }


def test_where_nothing_was_counted_nothing_is_written(
    metrics: Metrics, tallies: Tallies, query_recorder: QueryRecorder
) -> None:
    metrics.introspected("active")
    tallies.flush()
    query_recorder.clear()
    tallies.flush()
    assert query_recorder.statements == []


def test_processes_add_to_the_same_counts_at_once(store: Store) -> None:
    processes = [Metrics() for _ in range(4)]
    for metrics in processes:
        for outcome in ("unknown", "active", "expired"):
            metrics.introspected(outcome)
    assert at_once([Tallies(store, metrics).flush for metrics in processes]) == [None] * 4
    assert set(_counts(store).values()) == {4}


def test_what_could_not_be_written_is_written_later(
    store: Store, metrics: Metrics, tallies: Tallies
) -> None:
    metrics.introspected("active")
    with failing(store, "INSERT INTO tally"), pytest.raises(StorageUnavailable):
        tallies.flush()
    assert _counts(store) == {}
    metrics.introspected("active")
    tallies.flush()
    assert _counts(store) == {("introspection", "active", 0): 2}


def test_old_hours_are_removed_and_the_last_one_kept_is_not(
    store: Store, metrics: Metrics, tallies: Tallies, clock: ManualClock
) -> None:
    metrics.introspected("active")
    tallies.flush()
    clock.advance(seconds=KEPT.total_seconds())
    metrics.introspected("expired")
    tallies.flush()
    assert ("introspection", "active", 0) in _counts(store)
    clock.advance(seconds=3_600)
    metrics.introspected("expired")
    tallies.flush()
    assert {outcome for _, outcome, _ in _counts(store)} == {"expired"}


def test_a_child_does_not_write_what_its_parent_counted(
    store: Store, metrics: Metrics, tallies: Tallies
) -> None:
    metrics.introspected("active")
    tallies.forget()
    metrics.introspected("active")
    tallies.flush()
    assert _counts(store) == {("introspection", "active", 0): 1}


def test_they_are_written_with_the_last_uses_and_at_the_end(
    store: Store, metrics: Metrics, tallies: Tallies
) -> None:
    usage = Usage(store, tallies=tallies)
    metrics.introspected("active")
    usage.flush()
    assert sum(_counts(store).values()) == 1
    metrics.introspected("active")
    usage.close()
    assert sum(_counts(store).values()) == 2


def test_counts_are_read_from_a_moment_on(
    store: Store, metrics: Metrics, tallies: Tallies, clock: ManualClock
) -> None:
    for _ in range(3):
        metrics.introspected("active")
        tallies.flush()
        clock.advance(seconds=3_600)
    assert [one.hour for one in counted(store, START + HOUR)] == [START + HOUR, START + 2 * HOUR]
