"""The machine and the software that a run was made on, as its results name them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers.processes import program
from tokensrv.db import sqlite

_PACKAGES = ("granian", "flask", "sqlalchemy", "psycopg")


def facts(cores: int, postgres_version: str) -> dict[str, str | int]:
    """Return what the numbers depend on, by name."""
    return {
        **of_process(),
        "cores": cores,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": platform.release(),
        "postgresql": postgres_version,
        "wrk": _wrk(),
        **{name: version(name) for name in _PACKAGES},
    }


def of_process() -> dict[str, str | int]:
    """Return what the numbers of a single process depend on, by name."""
    return {
        "cpu": _cpu(),
        "python": platform.python_version(),
        "interpreter": _interpreter(),
        "sqlite": sqlite.driver.sqlite_version,
        "tokensrv": version("tokensrv"),
    }


def _interpreter() -> str:
    """Return how the interpreter was built; optimised by a profile, it is about a tenth faster."""
    if sys.base_prefix == "/usr":
        # Built in ways that its configuration does not tell.
        return "of the distribution"
    is_optimised = "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS"))
    return "optimised by a profile" if is_optimised else "not optimised by a profile"


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _wrk() -> str:
    # It knows no --version that exits with 0.
    told = subprocess.run(
        [program("wrk") or "wrk", "--version"], check=False, capture_output=True, text=True
    )
    return told.stdout.split()[1]
