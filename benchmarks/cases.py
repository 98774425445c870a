"""The cases of the benchmark, as data: what is served, what it is asked, what is wanted of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from benchmarks.measurements import Goal


class Database(Enum):
    """Where the tokens are."""

    SQLITE = "SQLite"
    POSTGRES = "PostgreSQL"


class Tokens(Enum):
    """Which tokens are asked about."""

    ONE = "one token"
    HUNDRED = "100 tokens"
    FIRST = "the first 10,000 tokens"
    RANDOM = "random over all"
    SHAPELESS = "garbage, wrong shape"
    UNKNOWN = "garbage, right shape"
    SUDO = "sudo, repeated"


class Deployment(NamedTuple):
    """A server of tokensrv: on which database, with how many tokens, workers and threads."""

    database: Database
    tokens: int
    workers: int = 1
    threads: int | None = None
    has_cache: bool = True

    @property
    def name(self) -> str:
        """Return how the table calls it."""
        size = f"{self.tokens:,} tokens"
        workers = "1 worker" if self.workers == 1 else f"{self.workers} workers"
        threads = [] if self.threads is None else [f"threads: {self.threads}"]
        cache = [] if self.has_cache else ["no cache"]
        return ", ".join([self.database.value, size, workers, *threads, *cache])


@dataclass(frozen=True, slots=True)
class Case:
    """One load on one deployment."""

    deployment: Deployment
    tokens: Tokens
    is_basic: bool = True
    goal: Goal | None = None

    @property
    def name(self) -> str:
        """Return how the table calls it, beside its deployment."""
        return self.tokens.value + ("" if self.is_basic else ", credentials in the form")


# The constant handler's CPU time a request, divided by ours.
GOALS = {
    Database.SQLITE: Goal("ratio", at_least=0.42),
    Database.POSTGRES: Goal("ratio", at_least=0.55),
}
# The size that what is wanted of large databases is wanted of.
MANY = 10_000_000
# The CPU time a request at the smallest size, divided by that at this one.
FLAT = Goal("flatness", at_least=0.9, tokens=MANY)

# The numbers of tokens that each database is measured with, the smallest first.
Sizes = Mapping[Database, Sequence[int]]


def cases(sizes: Sizes, *, is_quick: bool) -> Iterator[Case]:
    """Yield what is measured, those of one deployment after each other.

    The first size gets every load, the others what shows whether it stays flat.
    """
    for database in Database:
        smallest, *larger = sizes[database]
        one = Deployment(database, smallest)
        yield Case(one, Tokens.HUNDRED, goal=GOALS[database])
        yield from _more_loads(one, is_quick=is_quick)
        yield Case(one._replace(workers=2), Tokens.HUNDRED)
        if not is_quick:
            yield Case(one._replace(threads=1), Tokens.HUNDRED)
        for size in larger:
            yield Case(one._replace(tokens=size), Tokens.FIRST, goal=FLAT.at(size))
            yield Case(one._replace(tokens=size), Tokens.RANDOM)
    smallest = sizes[Database.POSTGRES][0]
    yield Case(Deployment(Database.POSTGRES, smallest, has_cache=False), Tokens.HUNDRED)


def _more_loads(deployment: Deployment, *, is_quick: bool) -> Iterator[Case]:
    yield Case(deployment, Tokens.FIRST)
    yield Case(deployment, Tokens.SUDO)
    yield Case(deployment, Tokens.UNKNOWN)
    if not is_quick:
        yield Case(deployment, Tokens.SHAPELESS)
        yield Case(deployment, Tokens.ONE)
        yield Case(deployment, Tokens.HUNDRED, is_basic=False)
