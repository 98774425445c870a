"""What every measurement of one run shares: cores, a PostgreSQL, instances, the constant handler.

The machine may be faster now than a minute ago, so the constant handler is measured again after
everything else that is, and each cost stands beside the mean of the two measurements around it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from benchmarks import postgres
from benchmarks.cases import Database, Deployment
from benchmarks.instances import SEED, Instance, Server, listening, prepare, serving
from benchmarks.load import Cost, Load, Pids
from benchmarks.peers import Endpoint
from benchmarks.peers.oauth import Client
from benchmarks.peers.processes import free_port
from benchmarks.postgres import Postgres

_IMPORTABLE = {"PYTHONPATH": str(Path(__file__).parents[1])}
_CONSTANT_SECONDS = 1


class Cores(NamedTuple):
    """The cores of this machine that may be used, the lowest first."""

    allowed: tuple[int, ...]

    @property
    def load(self) -> int:
        """Return the one that makes the load, and runs PostgreSQL."""
        return self.allowed[0]

    def of(self, workers: int) -> tuple[int, ...]:
        """Return those of so many workers; the load's own is the last one to be taken."""
        return self.allowed[-workers:]

    @contextmanager
    def all_of_them(self) -> Iterator[None]:
        """Let this process use every core for a while."""
        os.sched_setaffinity(0, self.allowed)
        try:
            yield
        finally:
            os.sched_setaffinity(0, {self.load})

    def are_apart(self, workers: int) -> bool:
        """Return whether so many workers leave the load its core."""
        return len(self.allowed) > workers


@dataclass
class Bench:
    """A run: everything that is measured goes through here."""

    folder: Path
    cores: Cores
    seconds: int
    postgres: Postgres
    constant: Endpoint
    constants: list[Cost] = field(default_factory=list)
    # What the first tokens cost at the smallest size, which comes first, in µs.
    smallest_us: dict[Database, float] = field(default_factory=dict)

    def instance(self, database: Database, tokens: int) -> Instance:
        """Return the instance with so many tokens, made when it is first asked for."""
        name = f"{database.name.lower()}_{tokens}"
        url = self.postgres.url(name) if database is Database.POSTGRES else ""
        return prepare(self.folder / name, url, tokens)

    @contextmanager
    def serving(self, deployment: Deployment) -> Iterator[tuple[Instance, Server]]:
        """Give a running deployment."""
        instance = self.instance(deployment.database, deployment.tokens)
        with serving(
            instance,
            workers=deployment.workers,
            cores=self.cores.of(deployment.workers),
            threads=deployment.threads,
            cache_entries=None if deployment.has_cache else 0,
        ) as server:
            yield instance, server

    def storage(self, database: Database) -> Pids | None:
        """Return what gives the processes of a database server; SQLite has none."""
        return self.postgres.pids if database is Database.POSTGRES else None

    def cost(
        self, endpoint: Endpoint, *, storage: Pids | None = None, until_all: bool = False
    ) -> Cost:
        """Return what an answer costs under full load, after a time with every answer checked.

        ``until_all``: that time is not over before each request was asked once.
        """
        load = Load(endpoint, self.folder, core=self.cores.load)
        load.warm(endpoint.warm_seconds, until_all=until_all)
        cost = load.measure(self.seconds, storage)
        self.measure_constant()
        return cost

    def measure_constant(self) -> None:
        """Measure the constant handler once more."""
        load = Load(self.constant, self.folder, core=self.cores.load)
        self.constants.append(load.measure(_CONSTANT_SECONDS))

    def constant_us(self) -> float:
        """Return the constant handler's CPU time in µs around what was measured last."""
        around = [cost.cpu_us for cost in self.constants[-2:]]
        return sum(around) / len(around)


@contextmanager
def running(folder: Path, seconds: int) -> Iterator[Bench]:
    """Give a run that keeps its data in the folder and measures each load for so many seconds."""
    cores = Cores(tuple(sorted(os.sched_getaffinity(0))))
    # This process, and what it starts without another choice: PostgreSQL and the paced client.
    os.sched_setaffinity(0, {cores.load})
    try:
        with (
            postgres.running(folder / "postgres") as database,
            reference("constant", folder, cores) as constant,
        ):
            bench = Bench(folder, cores, seconds, database, constant)
            bench.measure_constant()
            yield bench
    finally:
        os.sched_setaffinity(0, cores.allowed)


@contextmanager
def reference(name: str, folder: Path, cores: Cores) -> Iterator[Endpoint]:
    """Give one of ``benchmarks.constant``, served like tokensrv and asked as tokensrv is."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.constant", name, str(port)]
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    with listening(
        command, port, cores=cores.of(1), folder=home, environment=_IMPORTABLE
    ) as server:
        # As long as tokensrv's own are.
        client = Client("a-name-of-22-characters"[:22], SEED.secret(1))
        url = f"{server.url}/oauth/introspect"
        yield client.endpoint(url, SEED.secret(0), server.service.pids)
