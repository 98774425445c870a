"""How the numbers of several workers become those of a node."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.processes import Process
from tokensrv.config import Settings
from tokensrv.services.metering.metrics import Metrics, gauge
from tokensrv.services.metering.node_metrics import NodeMetrics

# Another worker, which has counted one and holds two; it ends, or not, when it is told to.
WORKER = """
from pathlib import Path
from tokensrv.services.metering.metrics import Metrics, gauge
from tokensrv.services.metering.node_metrics import NodeMetrics
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
    own, ended = sorted(path.name for path in tmp_path.glob("*.prom"))
    assert own.startswith(f"{os.getpid()}-")
    assert ended == "ended.prom"


def test_what_a_killed_worker_held_is_forgotten_after_a_while(
    node: NodeMetrics, start: Start, tmp_path: Path
) -> None:
    worker = start()
    worker.kill()
    assert values(node)["tokensrv_held"] == 3
    (left,) = tmp_path.glob(f"{worker.pid}-*.prom")
    long_ago = left.stat().st_mtime - 60
    os.utime(left, (long_ago, long_ago))
    found = values(node)
    assert (found[ACTIVE], found["tokensrv_held"]) == (2, 1)


def test_a_worker_with_the_number_of_a_killed_one_takes_nothing_from_it(
    node: NodeMetrics, tmp_path: Path
) -> None:
    # The numbers of processes come round again: this one has that of `node`.
    other = Metrics()
    other.introspected("active")
    NodeMetrics(other.registry).share(tmp_path)
    assert values(node)[ACTIVE] == 2


def test_a_worker_that_is_asked_at_its_very_end_still_answers(
    node: NodeMetrics, start: Start, tmp_path: Path
) -> None:
    worker = start()
    (own,) = tmp_path.glob(f"{os.getpid()}-*.prom")
    node._end(own)  # noqa: SLF001  # what the end of the process calls
    assert not own.exists()
    found = values(node)
    assert (found[ACTIVE], found["tokensrv_held"]) == (2, 2)
    worker.say()
    worker.end()


def test_without_the_folder_a_process_tells_of_itself(node: NodeMetrics, tmp_path: Path) -> None:
    away = tmp_path.rename(tmp_path.with_name("away"))
    found = values(node)
    # The thread that writes there lives as long as this process.
    away.rename(tmp_path)
    assert (found[ACTIVE], found["tokensrv_held"]) == (1, 1)


def test_a_file_that_goes_while_it_is_read_stands_for_nothing(
    node: NodeMetrics, start: Start, tmp_path: Path
) -> None:
    other = start()
    # Its name is listed, and then it cannot be opened.
    (tmp_path / "0-gone.prom").symlink_to(tmp_path / "nothing")
    assert values(node)[ACTIVE] == 2
    other.say()
    other.end()
