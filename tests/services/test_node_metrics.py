"""How the numbers of several workers become those of a node."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.processes import Process
from tokensrv.config import Settings
from tokensrv.services.metrics import Metrics, gauge
from tokensrv.services.node_metrics import NodeMetrics

# Another worker, which has counted one and holds two; it ends, or not, when it is told to.
WORKER = """
from pathlib import Path
from tokensrv.services.metrics import Metrics, gauge
from tokensrv.services.node_metrics import NodeMetrics
metrics = Metrics()
metrics.introspected("active")
metrics.waited(1.5)
metrics.watch(lambda: [gauge("tokensrv_held", "Held.", 2)])
node = NodeMetrics(metrics.registry)
node.share(Path({folder!r}))
print("ready", flush=True)
sys.stdin.readline()
"""
ACTIVE = 'tokensrv_introspections_total{outcome="active"}'

Start = Callable[[], Process]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def start() -> Process:
        # No database: it is never opened.
        process = Process(WORKER.format(folder=str(tmp_path)), Settings(instance=tmp_path))
        assert process.hear() == "ready"
        return process

    return start


@pytest.fixture
def node(tmp_path: Path) -> NodeMetrics:
    """A worker of this node that has counted one and holds one."""
    metrics = Metrics()
    metrics.introspected("active")
    metrics.watch(lambda: [gauge("tokensrv_held", "Held.", 1)])
    found = NodeMetrics(metrics.registry)
    found.share(tmp_path)
    return found


def values(node: NodeMetrics) -> dict[str, float]:
    """Return all samples by name and labels."""
    found = {}
    for family in text_string_to_metric_families(node.text().decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_without_a_folder_a_process_tells_of_itself() -> None:
    metrics = Metrics()
    metrics.introspected("active")
    assert values(NodeMetrics(metrics.registry))[ACTIVE] == 1


def test_counts_and_gauges_of_all_workers_are_added_up(node: NodeMetrics, start: Start) -> None:
    workers = [start(), start()]
    found = values(node)
    assert (found[ACTIVE], found["tokensrv_held"]) == (3, 5)
    assert found['tokensrv_revocation_wait_seconds_bucket{le="1.0"}'] == 0
    assert found['tokensrv_revocation_wait_seconds_bucket{le="2.0"}'] == 2
    assert found["tokensrv_revocation_wait_seconds_sum"] == 3
    for worker in workers:
        worker.say()
        worker.end()


def test_what_an_ended_worker_counted_stays_and_what_it_held_does_not(
    node: NodeMetrics, start: Start, tmp_path: Path
) -> None:
    for count in (2, 3):
        worker = start()
        worker.say()
        worker.end()
        found = values(node)
        assert (found[ACTIVE], found["tokensrv_held"]) == (count, 1)
    # However many have ended.
    files = sorted(path.name for path in tmp_path.glob("*.prom"))
    assert files == sorted([f"{os.getpid()}.prom", "ended.prom"])


def test_what_a_killed_worker_held_is_forgotten_after_a_while(
    node: NodeMetrics, start: Start, tmp_path: Path
) -> None:
    worker = start()
    worker.kill()
    assert values(node)["tokensrv_held"] == 3
    left = tmp_path / f"{worker.pid}.prom"
    long_ago = left.stat().st_mtime - 60
    os.utime(left, (long_ago, long_ago))
    found = values(node)
    assert (found[ACTIVE], found["tokensrv_held"]) == (2, 1)
