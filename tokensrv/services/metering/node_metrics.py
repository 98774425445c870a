"""Metrics of a node: the numbers of all its workers, whichever of them is asked.

Workers that share a folder each leave their numbers there in a file, every few seconds; whoever is
asked adds the files up. What a worker counted stays when it is gone, what it held does not. Without
a folder a process tells of itself alone. What is counted is ``services.metering.metrics``'s.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
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
        self._file: Path | None = None
        self._mutex = threading.Lock()
        self._ended = threading.Event()

    def share(self, folder: Path) -> None:
        """Add this process's numbers to those of the others in the folder, from now to its end."""
        # The number of a worker that was killed, whose file stays, may be given to another one.
        self._file = file = folder / f"{os.getpid()}-{secrets.token_hex(4)}.prom"
        self._write(file)
        threading.Thread(
            target=self._run, args=(file,), name="tokensrv-metrics", daemon=True
        ).start()
        # After what else happens at the end, which may count.
        Finalize(self, self._end, args=(file,), exitpriority=1)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        if self._file is None:
            return generate_latest(self._own)
        try:
            self._write(self._file)
            with _locked(self._file.parent):
                left = _read(sorted(self._file.parent.glob("*.prom")))
        except FileNotFoundError:
            # The folder goes with the server, a moment before its last worker.
            return generate_latest(self._own)
        # The newest is of this moment, because this process has just written; or it is ending.
        newest = max((written_at for written_at, _ in left), default=0.0)
        return generate_latest(_Sum(left, held_since=newest - _GONE_SECONDS))

    def _run(self, file: Path) -> None:
        while not self._ended.wait(_WRITE_SECONDS):
            try:
                self._write(file)
            except OSError as error:
                _log.warning("metrics.not_written", extra={"cause": str(error)})

    def _write(self, file: Path) -> None:
        with self._mutex:
            if not self._ended.is_set():
                write_to_textfile(str(file), self._own)

    def _end(self, file: Path) -> None:
        """Add what was counted to that of all who ended before."""
        ended = file.with_name(_ENDED)
        try:
            self._write(file)
            with self._mutex, _locked(file.parent):
                self._ended.set()
                write_to_textfile(str(ended), _Sum(_read([ended, file]), held_since=None))
                file.unlink()
        except FileNotFoundError:
            # The folder went with the server: nobody is left who could be asked.
            return
        except OSError as error:
            _log.warning("metrics.lost", extra={"cause": str(error)})


class _Sum(Collector):
    """The sum of what stood in files; gauges only of those written since ``held_since``.

    None: no gauges at all.
    """

    def __init__(self, left: Sequence[_Left], *, held_since: float | None) -> None:
        self._left = left
        self._held_since = held_since

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        sums: defaultdict[str, defaultdict[_Key, float]] = defaultdict(lambda: defaultdict(float))
        for family in self._families():
            families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                sums[family.name][sample.name, tuple(sample.labels.items())] += sample.value
        for name, family in families.items():
            for (sample_name, labels), value in sums[name].items():
                family.add_sample(sample_name, dict(labels), value)
            yield family

    def _families(self) -> Iterator[Metric]:
        for written_at, text in self._left:
            is_held = self._held_since is not None and written_at >= self._held_since
            for family in text_string_to_metric_families(text):
                if is_held or family.type != "gauge":
                    yield family


# A sample's name and its labels.
_Key = tuple[str, tuple[tuple[str, str], ...]]
# When a file was written, in seconds, and what stood in it.
_Left = tuple[float, str]


def _read(files: Iterable[Path]) -> list[_Left]:
    """Return what stands in the files; one that is gone stands for nothing."""
    found = []
    for file in files:
        with suppress(FileNotFoundError):
            found.append((file.stat().st_mtime, file.read_text("utf-8")))
    return found


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep what ended from being counted twice, or not at all, while it is added up."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
