"""Metrics: what this process did and holds, counted for Prometheus to collect.

It owns the names of all metrics and the counting. How the numbers of all workers come together is
``services.metering.node_metrics``'s. A label never has a value that a caller chose.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

# An answer takes between a fraction of a millisecond and the storage time limit, a wait for the
# other workers at most a lease; both in seconds.
_REQUEST_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5)
_WAIT_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 2, 5)


class Metrics(Collector):
    """The counts of one process."""

    def __init__(self) -> None:
        # When a worker began to count says nothing about the node.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self._introspections: defaultdict[str, int] = defaultdict(int)
        self._sudos: defaultdict[str, int] = defaultdict(int)
        self._gates: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._sources: list[Callable[[], Iterable[Metric]]] = []
        self._requests = Counter(
            "tokensrv_http_requests",
            "Answers, but for those of the fast paths.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "tokensrv_http_request_duration_seconds",
            "How long these answers took.",
            ("route", "method"),
            buckets=_REQUEST_BUCKETS,
            registry=self.registry,
        )
        self._waits = Histogram(
            "tokensrv_revocation_wait_seconds",
            "How long a verb that takes power away waited for the other workers.",
            buckets=_WAIT_BUCKETS,
            registry=self.registry,
        )
        self._unavailable = Counter(
            "tokensrv_storage_unavailable",
            "Answers of 503 because the database was away, locked or too slow.",
            registry=self.registry,
        )

    def introspected(self, outcome: str) -> None:
        """Count one token that was asked about: ``active``, or the check that it failed."""
        # No lock, and with the interpreter's own none is needed: it changes threads at calls and
        # jumps only, and between this reading and this writing there is neither. On a build of
        # Python without that lock, counts could be lost here.
        self._introspections[outcome] += 1

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answer of a route, which is named by its template."""
        self._requests.labels(route, method, f"{status // 100}xx").inc()
        self._seconds.labels(route, method).observe(seconds)

    def sudo(self, outcome: str) -> None:
        """Count a sudo, asked for by whoever acts or by a client: ``used``, or what refused it."""
        self._sudos[outcome] += 1

    def at_gate(self, gate: str, outcome: str) -> None:
        """Count somebody at a gate: ``entered``, or the check that stopped him."""
        self._gates[(gate, outcome)] += 1

    def waited(self, seconds: float) -> None:
        """Count a verb that took power away and waited so long for the other workers."""
        self._waits.observe(seconds)

    def storage_was_unavailable(self) -> None:
        """Count an answer that could not be given because the database was away."""
        self._unavailable.inc()

    def watch(self, source: Callable[[], Iterable[Metric]]) -> None:
        """Ask ``source`` for its metrics whenever they are collected."""
        self._sources.append(source)

    def hold(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Have a gauge that ``read`` tells whenever it is collected."""
        self.watch(lambda: [gauge(name, description, read())])

    def tallied(self) -> dict[str, int]:
        """Return what is kept beyond this process, by the name that it has there."""
        kinds = {"introspection": self._introspections, "sudo": self._sudos}
        return {
            f"{kind}.{outcome}": count
            for kind, counts in kinds.items()
            for outcome, count in tuple(counts.items())
        }

    def collect(self) -> Iterator[Metric]:
        """Yield what is not counted by a metric of its own."""
        yield counter(
            "tokensrv_introspections",
            "Tokens that clients asked about: active, or the check that made them inactive.",
            {(outcome,): count for outcome, count in tuple(self._introspections.items())},
            labels=("outcome",),
        )
        yield counter(
            "tokensrv_sudos",
            "Sudo over the API and in introspection: used, or the check that refused it.",
            {(outcome,): count for outcome, count in tuple(self._sudos.items())},
            labels=("outcome",),
        )
        yield counter(
            "tokensrv_gate_visits",
            "Credentials at the gates: entered, or the check that stopped them.",
            dict(tuple(self._gates.items())),
            labels=("gate", "outcome"),
        )
        for source in self._sources:
            yield from source()


def counter(
    name: str,
    description: str,
    counts: Mapping[tuple[str, ...], float],
    *,
    labels: tuple[str, ...] = (),
) -> Metric:
    """Return a counter that was counted elsewhere, by the values of its labels."""
    family = CounterMetricFamily(name, description, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def gauge(name: str, description: str, value: float) -> Metric:
    """Return a gauge of this moment."""
    return GaugeMetricFamily(name, description, value=value)
