"""What Linux tells about processes under measurement: their CPU time, their memory, their cores.

How they are started and stopped is ``benchmarks.peers.processes``'s.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """Return this process and all that descend from it and still run, parents first."""
    found = [pid]
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


def cpu_seconds(pids: Collection[int]) -> float:
    """Return the CPU time that these processes and their ended children have used, in seconds."""
    return sum(map(_cpu_seconds, pids))


def memory_mb(pids: Collection[int]) -> float:
    """Return the memory of these processes, of what they share their part, in MiB."""
    return sum(map(_pss_kb, pids)) / 1024


def _cpu_seconds(pid: int) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        # Its parent has waited for it, and counts it from now on.
        return 0.0
    # proc(5): the fields 14 to 17, utime, stime, cutime and cstime; the name may hold blanks.
    return sum(map(int, stat.rpartition(")")[2].split()[11:15])) * _TICK_SECONDS


def _pss_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise RuntimeError(f"the kernel does not tell the memory of process {pid}")
