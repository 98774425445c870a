"""Metrics of a node: the numbers of all its workers, whichever of them is asked.

Workers that share a folder each leave their numbers there in a file, every few seconds; whoever is
asked adds the files up. What a worker counted stays when it is gone, what it held does not.
Without a folder a process tells of itself alone. What is counted is ``services.metrics``'s.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Final

from prometheus_client import generate_latest, write_to_textfile
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

_WRITE_SECONDS: Final = 2.0
# Whoever has not written for so long holds nothing any more: it is gone, or stopped.
_GONE_SECONDS: Final = 10.0
# What all workers counted that ended well, so that files do not gather with every reload.
_ENDED: Final = "ended.prom"

_log = logging.getLogger("tokensrv.metrics")


class NodeMetrics:
    """What is told to Prometheus by this process."""

    def __init__(self, own: Collector) -> None:
        self._own = own
        self._folder: Path | None = None
        self._mutex = threading.Lock()
        self._ended = threading.Event()

    def share(self, folder: Path) -> None:
        """Add this process's numbers to those of the others in the folder, from now to its end."""
        self._folder = folder
        self._write(folder)
        threading.Thread(
            target=self._run, args=(folder,), name="tokensrv-metrics", daemon=True
        ).start()
        # After what else happens at the end, which may count.
        Finalize(self, self._end, args=(folder,), exitpriority=1)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        if self._folder is None:
            return generate_latest(self._own)
        self._write(self._folder)
        written_at = _file(self._folder).stat().st_mtime
        with _locked(self._folder):
            files = sorted(self._folder.glob("*.prom"))
            return generate_latest(_Sum(files, held_since=written_at - _GONE_SECONDS))

    def _run(self, folder: Path) -> None:
        while not self._ended.wait(_WRITE_SECONDS):
            try:
                self._write(folder)
            except OSError as error:
                _log.warning("metrics.not_written", extra={"cause": str(error)})

    def _write(self, folder: Path) -> None:
        with self._mutex:
            if not self._ended.is_set():
                write_to_textfile(str(_file(folder)), self._own)

    def _end(self, folder: Path) -> None:
        """Add what was counted to that of all who ended before."""
        try:
            self._write(folder)
            with self._mutex, _locked(folder):
                self._ended.set()
                files = [folder / _ENDED, _file(folder)]
                write_to_textfile(str(folder / _ENDED), _Sum(files, held_since=None))
                _file(folder).unlink()
        except OSError as error:
            _log.warning("metrics.lost", extra={"cause": str(error)})


class _Sum(Collector):
    """The sum of what stands in files; gauges only of those written since ``held_since``.

    None: no gauges at all.
    """

    def __init__(self, files: Iterable[Path], *, held_since: float | None) -> None:
        self._files = [file for file in files if file.exists()]
        self._held_since = held_since

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        sums: defaultdict[str, defaultdict[_Key, float]] = defaultdict(lambda: defaultdict(float))
        for family in self._read():
            families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                sums[family.name][sample.name, tuple(sample.labels.items())] += sample.value
        for name, family in families.items():
            for (sample_name, labels), value in sums[name].items():
                family.add_sample(sample_name, dict(labels), value)
            yield family

    def _read(self) -> Iterator[Metric]:
        for file in self._files:
            is_held = self._held_since is not None and file.stat().st_mtime >= self._held_since
            for family in text_string_to_metric_families(file.read_text("utf-8")):
                if is_held or family.type != "gauge":
                    yield family


# A sample's name and its labels.
_Key = tuple[str, tuple[tuple[str, str], ...]]


def _file(folder: Path) -> Path:
    return folder / f"{os.getpid()}.prom"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep what ended from being counted twice, or not at all, while it is added up."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
