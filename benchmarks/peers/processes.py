"""The processes of the services that are measured: installed once, started on cores, stopped whole.

It owns the cache folder, free ports and process groups. What is run, and how it is configured, is
each service's own.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tokensrv-bench"
# A Java service on a shared core needs most of it to start.
_START_SECONDS = 300
_STOP_SECONDS = 20
_POLL_SECONDS = 0.1
_LOG_LINES = 20


def program(name: str) -> Path | None:
    """Return the command's path, one of the virtual environment before the system's."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    found = shutil.which(name, path=path)
    return Path(found) if found else None


def missing(*names: str) -> str | None:
    """Return one sentence that names the first command that is not installed, else None."""
    return next((f"{name} is not installed" for name in names if program(name) is None), None)


def run(*command: str | Path, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command in the folder to its end and return what it printed.

    Raises CalledProcessError, with the command's own words as a note.
    """
    done = subprocess.run(
        [str(program(str(command[0])) or command[0]), *map(str, command[1:])],
        check=False,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    try:
        done.check_returncode()
    except subprocess.CalledProcessError as error:
        error.add_note(done.stdout + done.stderr)
        raise
    return done.stdout


def install_once(folder: Path, build: Callable[[Path], None]) -> None:
    """Let `build` fill the folder, unless an earlier call did; half of it does not count."""
    if folder.is_dir():
        return
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    build(unfinished)
    unfinished.rename(folder)


def free_port() -> int:
    """Return a port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Service:
    """A started service: the leader of a process group of its own, and its log."""

    leader: subprocess.Popen[bytes]
    log: Path

    def pids(self) -> list[int]:
        """Return the process ids of the whole group, as far as it still runs."""
        every = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        return [pid for pid in every if _running_group(pid) == self.leader.pid]

    def wait_for(self, url: str) -> None:
        """Return once the URL answers with 2xx; raises RuntimeError when that never comes."""
        end = time.monotonic() + _START_SECONDS
        while self.leader.poll() is None and time.monotonic() < end:
            with suppress(httpx.TransportError):
                if httpx.get(url).is_success:
                    return
            time.sleep(_POLL_SECONDS)
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        raise RuntimeError("\n".join([f"no answer from {url}", *lines]))

    def stop(self) -> None:
        """End the group, by force what is left of it after a while."""
        self._signal(signal.SIGTERM)
        end = time.monotonic() + _STOP_SECONDS
        while self.leader.poll() is None or self.pids():
            if time.monotonic() > end:
                self._signal(signal.SIGKILL)
            time.sleep(_POLL_SECONDS)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.leader.pid, number)


def _running_group(pid: int) -> int | None:
    """Return the process's group; None when it has ended, be it that nobody has waited for it."""
    with suppress(FileNotFoundError, ProcessLookupError):
        # proc(5): the name may hold blanks and brackets; state, parent and group follow it.
        state, _, group = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:3]
        return None if state == "Z" else int(group)
    return None


@contextmanager
def started(
    *command: str | Path,
    cores: Collection[int],
    folder: Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Service]:
    """Give a service started on the cores, with its log in the folder; stopped afterwards."""
    log = folder / "output.log"
    taskset = ["taskset", "--cpu-list", ",".join(map(str, cores))]
    with log.open("ab") as output:
        leader = subprocess.Popen(
            [*taskset, *map(str, command)],
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    service = Service(leader, log)
    try:
        yield service
    finally:
        service.stop()
