"""What one process counts."""

from __future__ import annotations

import threading

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tokensrv.services.metering.metrics import Metrics, counter, gauge


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """Return the value of one sample."""
    for family in metrics.registry.collect():
        for sample in family.samples:
            if (sample.name, sample.labels) == (name, labels):
                return sample.value
    return None


def test_introspections_are_counted_by_their_outcome(metrics: Metrics) -> None:
    for outcome in ("active", "active", "expired"):
        metrics.introspected(outcome)
    assert value(metrics, "tokensrv_introspections_total", outcome="active") == 2
    assert value(metrics, "tokensrv_introspections_total", outcome="expired") == 1


def test_no_count_is_lost_among_threads(metrics: Metrics) -> None:
    def count() -> None:
        for _ in range(100_000):
            metrics.introspected("active")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value(metrics, "tokensrv_introspections_total", outcome="active") == 400_000


def test_answers_are_counted_by_class_and_timed(metrics: Metrics) -> None:
    for status in (200, 204, 503):
        metrics.answered("/x", "GET", status, 0.25)
    requests = "tokensrv_http_requests_total"
    assert value(metrics, requests, route="/x", method="GET", status="2xx") == 2
    assert value(metrics, requests, route="/x", method="GET", status="5xx") == 1
    seconds = "tokensrv_http_request_duration_seconds"
    assert value(metrics, f"{seconds}_sum", route="/x", method="GET") == 0.75
    assert value(metrics, f"{seconds}_bucket", route="/x", method="GET", le="0.1") == 0
    assert value(metrics, f"{seconds}_bucket", route="/x", method="GET", le="0.5") == 3


def test_sudos_waits_and_faults_are_counted(metrics: Metrics) -> None:
    metrics.sudo("target_admin")
    metrics.waited(0.003)
    metrics.storage_was_unavailable()
    assert value(metrics, "tokensrv_sudos_total", outcome="target_admin") == 1
    assert value(metrics, "tokensrv_revocation_wait_seconds_bucket", le="0.0025") == 0
    assert value(metrics, "tokensrv_revocation_wait_seconds_bucket", le="0.005") == 1
    assert value(metrics, "tokensrv_storage_unavailable_total") == 1


def test_sources_are_asked_at_each_collection(metrics: Metrics) -> None:
    held = [3.0]
    metrics.watch(lambda: [gauge("held", "Held.", held[0]), counter("done", "Done.", {(): 5})])
    assert (value(metrics, "held"), value(metrics, "done_total")) == (3, 5)
    held[0] = 4
    assert value(metrics, "held") == 4


def test_every_metric_is_named_and_explained_as_prometheus_wants_it(metrics: Metrics) -> None:
    text = generate_latest(metrics.registry).decode()
    families = list(text_string_to_metric_families(text))
    assert len(families) >= 6
    assert all(family.name.startswith("tokensrv_") for family in families)
    assert all(family.documentation.endswith(".") for family in families)
    assert "_created" not in text
