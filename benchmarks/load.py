"""Load: wrk asks an endpoint as fast as it answers, while the CPU time of the answer is taken."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import Endpoint
from benchmarks.processes import cpu_seconds

_SCRIPT = Path(__file__).with_name("wrk.lua")
# Every thread of two workers finds the next request waiting.
_CONNECTIONS = 16
# Some of the other services take seconds for the first answers after their start.
_PATIENCE = "--timeout=10s"

Pids = Callable[[], list[int]]


@dataclass(frozen=True, slots=True)
class Burst:
    """What one run of wrk saw: answers, its length in seconds, and how many went wrong."""

    answers: int
    seconds: float
    failures: int

    @property
    def rate(self) -> float:
        """Return the answers per second."""
        return self.answers / self.seconds


@dataclass(frozen=True, slots=True)
class Cost:
    """A burst, and the CPU time in µs that one answer cost the service and its storage."""

    burst: Burst
    cpu_us: float
    # None: no process of its own holds the data.
    storage_cpu_us: float | None


class Load:
    """An endpoint's requests, written down for wrk once and asked in several bursts.

    Each burst goes on in the list where the one before has ended.
    """

    def __init__(self, endpoint: Endpoint, folder: Path, *, core: int) -> None:
        self._endpoint = endpoint
        self._file = folder / "bodies.txt"
        self._file.write_text("".join(f"{body}\n" for body in endpoint.bodies))
        self._core = core
        self._asked = 0

    def warm(self, seconds: int, *, until_all: bool = False) -> None:
        """Ask with every answer read, ``until_all`` requests were asked once if that takes longer.

        Raises RuntimeError when an answer is not as expected.
        """
        while True:
            burst = self._burst(seconds, expected=self._endpoint.expected)
            if burst.failures or not burst.answers:
                raise RuntimeError(f"{self._endpoint.url} answers wrongly under load: {burst}")
            if not until_all or self._asked >= len(self._endpoint.bodies):
                return

    def measure(self, seconds: int, storage: Pids | None = None) -> Cost:
        """Ask and take the CPU time of the service, and of the storage behind it, if any.

        Answers that are refused, late or cut off are failures of the burst. What the others say
        is checked by ``warm`` alone: reading it would slow wrk down.
        """
        watched = [self._endpoint.pids, *([storage] if storage else [])]
        before = [cpu_seconds(pids()) for pids in watched]
        burst = self._burst(seconds)
        after = [cpu_seconds(pids()) for pids in watched]
        answers = max(burst.answers, 1)
        used = [(now - then) * 1e6 / answers for then, now in zip(before, after, strict=True)]
        return Cost(burst, used[0], used[1] if storage else None)

    def _burst(self, seconds: int, *, expected: str = "") -> Burst:
        headers = [f"--header={name}: {value}" for name, value in self._endpoint.headers.items()]
        command = ["taskset", "--cpu-list", str(self._core), "wrk", "--threads=1", *headers]
        command += [f"--connections={_CONNECTIONS}", f"--duration={seconds}s", _PATIENCE]
        command += [f"--script={_SCRIPT}", self._endpoint.url, "--", str(self._file)]
        command += [str(self._asked), expected]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        told = json.loads(done.stdout.splitlines()[-1])
        self._asked += told["answers"]
        failures = told["refused"] + told["failed"] + told["wrong"]
        return Burst(told["answers"], told["microseconds"] / 1e6, failures)
