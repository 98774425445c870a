"""Three nodes on one database: how they are started, killed, paused and cut off."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from cryptography.fernet import Fernet

from tests.databases import Databases
from tests.db.proxy import Proxy
from tests.live.servers import Instance, Server, initialise, serving
from tokensrv.config import env_name

NODES = 3
# The one that reaches the database through the proxy.
DISTANT = NODES - 1


def sharing(folder: Path, databases: Databases, count: int, **settings: str) -> list[Instance]:
    """Return instances with a folder each, and one database and one master key for all."""
    first = initialise(folder / "init", databases)
    shared = settings | {"master_key": Fernet.generate_key().decode()}
    found = []
    for number in range(count):
        own = shared | {"instance": str(folder / f"node{number}")}
        found.append(_with(first, own))
    return found


def _with(instance: Instance, settings: Mapping[str, str]) -> Instance:
    variables = {env_name(name): value for name, value in settings.items()}
    return replace(instance, environment={**instance.environment, **variables})


class Nodes:
    """Servers of instances that share a database; the last one is cut off with the proxy."""

    def __init__(self, folder: Path, databases: Databases, **settings: str) -> None:
        self._instances = sharing(folder, databases, NODES, **settings)
        self.root = self._instances[0]
        self.proxy = Proxy(self.root.environment[env_name("database_url")])
        distant = {"database_url": self.proxy.url}
        self._instances[DISTANT] = _with(self._instances[DISTANT], distant)
        self._folder = folder
        self._stacks = [ExitStack() for _ in range(NODES)]
        self.servers: list[Server] = []

    def start(self) -> None:
        """Start all of them at once."""
        with ThreadPoolExecutor(NODES) as pool:
            self.servers += pool.map(self._start, range(NODES))

    def _start(self, number: int) -> Server:
        log = self._folder / f"node{number}.log"
        return self._stacks[number].enter_context(serving(self._instances[number], log))

    def kill(self, number: int) -> None:
        """End a whole node as -9 does, its main process first so that it replaces nobody."""
        server = self.servers[number]
        for pid in (server.pid, *server.workers()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        server.process.wait()

    def start_missing(self) -> None:
        """Start those that were killed again, each at another port."""
        for number, server in enumerate(self.servers):
            if server.process.poll() is not None:
                self._stacks[number].close()
                self.servers[number] = self._start(number)

    def close(self) -> None:
        """Stop all of them."""
        with ThreadPoolExecutor(NODES) as pool:
            for done in [pool.submit(stack.close) for stack in self._stacks]:
                done.result()
        self.proxy.close()


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """Let a process stand still for a while, in the middle of whatever it does."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def cut(proxy: Proxy) -> Iterator[None]:
    """Let a network swallow everything for a while."""
    proxy.swallow()
    try:
        yield
    finally:
        proxy.recover()
