"""Servers as real processes: how the live tests start them, watch them and get rid of them."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.databases import Databases
from tests.processes import environment
from tokensrv.config import Settings

SCRIPTS = Path(sysconfig.get_path("scripts"))
REPOSITORY = Path(__file__).parents[2]
# The clients that come from npm; `make install` puts them there.
NODE = Path(__file__).parent / "node"
_PATIENCE_SECONDS = 30


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Return what the condition returns once it is true; fail when that takes too long."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


def children(pid: int) -> list[int]:
    """Return the processes that this one started and that still run."""
    with suppress(FileNotFoundError):
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    return []


def is_running(pid: int) -> bool:
    """Return whether the process exists and is no zombie."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def free_port() -> int:
    """Return a port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Return whether somebody listens at this port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True)
class Instance:
    """An initialised instance: how processes find it, and its first secrets."""

    environment: Mapping[str, str]
    admin_token: str
    client_id: str
    client_secret: str
    admin_password: str = ""

    @property
    def basic(self) -> str:
        """Return the client's credentials as an Authorization header."""
        pair = f"{self.client_id}:{self.client_secret}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a tokensrv command to its end."""
        return subprocess.run(
            [SCRIPTS / "tokensrv", *arguments],
            check=False,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
        )


@dataclass(frozen=True)
class Server:
    """A running server of an instance."""

    instance: Instance
    url: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Return the process id of the main process."""
        return self.process.pid

    def workers(self) -> list[int]:
        """Return the process ids of its workers."""
        return children(self.pid)

    def get(self, path: str) -> requests.Response:
        """Return the answer to a GET without credentials."""
        return requests.get(self.url + path, timeout=_PATIENCE_SECONDS)

    def introspect(self, secret: str) -> dict[str, Any]:
        """Return what the first client is told about a token."""
        answer = requests.post(
            f"{self.url}/oauth/introspect",
            data={"token": secret},
            auth=(self.instance.client_id, self.instance.client_secret),
            timeout=_PATIENCE_SECONDS,
        )
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def is_ready(self) -> bool:
        """Return whether it answers; fails at once when it has ended."""
        assert self.process.poll() is None, self.log.read_text()
        with suppress(requests.ConnectionError):
            return self.get("/readyz").status_code == 200
        return False

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(_PATIENCE_SECONDS)


@contextmanager
def running(instance: Instance, command: list[str], port: int, log: Path) -> Iterator[Server]:
    """Give a server once it is ready; whatever happens, nothing of it runs afterwards."""
    with started(instance, command, log) as process:
        server = Server(instance, f"http://127.0.0.1:{port}", port, process, log)
        wait_for(server.is_ready, "the server to be ready")
        yield server


@contextmanager
def started(instance: Instance, command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Give the process of a server, ready or not; nothing of it runs afterwards."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=instance.environment,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        _end(process, log)


def _end(process: subprocess.Popen[bytes], log: Path) -> None:
    pids = [process.pid, *children(process.pid)]
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_SECONDS)
    leftovers = [pid for pid in pids if is_running(pid)]
    for pid in leftovers:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    assert not leftovers, log.read_text()


def initialise(folder: Path, databases: Databases) -> Instance:
    """Return a fresh instance in the folder, made by `tokensrv init`."""
    settings = Settings(instance=folder, database_url=databases.own(folder))
    bare = Instance(environment(settings), "", "", "")
    done = bare.command("init", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    admin = made["admin"]
    return Instance(
        bare.environment, admin["token"], **made["client"], admin_password=admin["password"]
    )


@contextmanager
def serving(instance: Instance, log: Path, *options: str) -> Iterator[Server]:
    """Give a running `tokensrv serve` with two workers."""
    port = free_port()
    command = [str(SCRIPTS / "tokensrv"), "serve", "--workers", "2", "--port", str(port), *options]
    with running(instance, command, port, log) as server:
        yield server
