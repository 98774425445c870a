"""Instances under measurement: made by ``tokensrv init``, filled by ``benchmarks.seed``, served.

An instance stays in its folder, so that another run in the same place finds its millions of
tokens again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import Progress

from benchmarks.peers.processes import Service, free_port, program, run, started
from benchmarks.processes import family, memory_mb
from benchmarks.seed import Seed, fill, opened
from tokensrv.config import ENV_PREFIX, Settings, env_name
from tokensrv.db import Store

SEED = Seed()
_MADE = "made.json"
_PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance with so many seeded tokens, and the first credentials for it."""

    settings: Settings
    tokens: int
    admin_token: str
    client_id: str
    client_secret: str

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables by which a process finds it."""
        return _environment(self.settings)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its URL, and how long it took from its start to its first answer."""

    url: str
    startup_s: float
    service: Service

    def memory_mb(self) -> float:
        """Return the memory of one worker in MiB, the mean of all."""
        _main, *workers = family(self.service.leader.pid)
        return memory_mb(workers) / len(workers)


def prepare(folder: Path, database_url: str, tokens: int) -> Instance:
    """Return the instance of this folder, made and filled as far as that was not done before.

    Raises CalledProcessError, Forbidden when the database has users of its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings(instance=folder, database_url=database_url)
    if not (folder / _MADE).exists():
        made = run("tokensrv", "init", "--json", folder=folder, environment=_environment(settings))
        (folder / _MADE).write_text(made)
    made = json.loads((folder / _MADE).read_text())
    with opened(database_url or f"sqlite:///{settings.sqlite_path}") as store:
        _fill(store, tokens)
    return Instance(settings, tokens, made["admin"]["token"], **made["client"])


def _fill(store: Store, tokens: int) -> None:
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"{tokens:,} tokens", total=tokens)
        fill(store, SEED, tokens, lambda done: bar.update(task, completed=done))


@contextmanager
def serving(
    instance: Instance, *, workers: int, cores: Collection[int], **settings: int | None
) -> Iterator[Server]:
    """Give `tokensrv serve` on these cores; settings that are None are left at their defaults."""
    chosen = {env_name(name): str(value) for name, value in settings.items() if value is not None}
    port = free_port()
    command = ["tokensrv", "serve", "--port", str(port), "--workers", str(workers)]
    folder, environment = instance.settings.instance, instance.environment | chosen
    with listening(command, port, cores=cores, folder=folder, environment=environment) as server:
        yield server


@contextmanager
def listening(
    command: list[str],
    port: int,
    *,
    cores: Collection[int],
    folder: Path,
    environment: dict[str, str],
) -> Iterator[Server]:
    """Give the server that this command starts once it answers; else raises RuntimeError."""
    url = f"http://127.0.0.1:{port}"
    found = program(command[0]) or command[0]
    began = time.monotonic()
    with started(
        found, *command[1:], cores=cores, folder=folder, environment=environment
    ) as service:
        while not _answers(url):
            if service.leader.poll() is not None or time.monotonic() - began > _PATIENCE_SECONDS:
                raise RuntimeError(f"{url} does not answer: {service.log.read_text()}")
            time.sleep(0.005)
        yield Server(url, time.monotonic() - began, service)


def _answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/healthz").is_success
    return False


def _environment(settings: Settings) -> dict[str, str]:
    found = {env_name("instance"): str(settings.instance)}
    if settings.database_url:
        found[env_name("database_url")] = settings.database_url
    return found


def forget_settings() -> None:
    """Drop the settings of whoever runs the benchmark: they are not those of its instances."""
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        del os.environ[name]
