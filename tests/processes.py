"""Other processes of the same instance, which a test talks to line by line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tokensrv.config import Settings, env_name

_PATIENCE_SECONDS = 60

# What a script finds prepared.
_PREAMBLE = """
import os, signal, sys, threading, time
from tests.databases import opened
from tokensrv.clock import SystemClock
from tokensrv.config import load
from tokensrv.errors import StorageUnavailable
from tokensrv.services import schema
settings = load(os.environ)
"""


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables by which another process finds this instance."""
    found = {"PATH": os.environ["PATH"], env_name("instance"): str(settings.instance)}
    if settings.database_url:
        found[env_name("database_url")] = settings.database_url
    return found


class Process:
    """A Python process that runs a script on the instance."""

    def __init__(self, script: str, settings: Settings) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-c", _PREAMBLE + script],
            cwd=Path(__file__).parents[1],
            env=environment(settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def hear(self) -> str:
        """Return the next line that it prints."""
        return str(self._popen.stdout.readline()).rstrip("\n")

    def say(self, line: str = "") -> None:
        """Give it the line that it waits for."""
        self._popen.stdin.write(f"{line}\n")
        self._popen.stdin.flush()

    def kill(self) -> None:
        """End it as -9 does."""
        self._popen.kill()
        self._popen.wait(_PATIENCE_SECONDS)
        # Not read to its end: a child that it has left may still hold the other side.
        self._popen.stdin.close()
        self._popen.stdout.close()

    def end(self) -> str:
        """Wait until it has ended well and return what else it printed."""
        said, _ = self._popen.communicate(timeout=_PATIENCE_SECONDS)
        assert self._popen.returncode == 0
        return str(said).strip()
