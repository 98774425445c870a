"""What all tests share: the choice of the database, the clock, an instance, ways into it."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings as hypothesis_settings
from sqlalchemy import event

from tests.databases import Databases, PostgresDatabases, PostgresServer, SqliteFiles
from tests.processes import environment
from tests.routing import compile_once
from tokensrv.app import create_app
from tokensrv.clock import to_ms
from tokensrv.config import ENV_PREFIX, Settings
from tokensrv.db import Store
from tokensrv.errors import StorageUnavailable
from tokensrv.services.directory import passwords

PROFILE = os.environ.get("TEST_PROFILE", "default")
START = datetime(2026, 3, 10, 12, tzinfo=UTC)

hypothesis_settings.register_profile("default", deadline=None, max_examples=50)
# A build must not fail by luck, so that it is the same examples each time.
hypothesis_settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True)
hypothesis_settings.register_profile("full", deadline=None, max_examples=2000)
hypothesis_settings.load_profile(PROFILE)

_SERVER = pytest.StashKey[PostgresServer]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--db", choices=("sqlite", "postgres"), default="sqlite")


def pytest_configure(config: pytest.Config) -> None:
    for name in ("sqlite", "postgres"):
        config.addinivalue_line("markers", f"{name}: runs with --db {name} alone")
    # The settings of whoever starts the tests are not those of the tests.
    for variable in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        del os.environ[variable]
    compile_once()
    if config.getoption("db") == "postgres" and not hasattr(config, "workerinput"):
        config.stash[_SERVER] = PostgresServer()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _SERVER in config.stash:
        config.stash[_SERVER].close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the one server to a worker of pytest-xdist."""
    if _SERVER in node.config.stash:
        node.workerinput["template_url"] = node.config.stash[_SERVER].template_url


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, not skip, what is about the other database."""
    other = "sqlite" if config.getoption("db") == "postgres" else "postgres"
    left_out = [item for item in items if item.get_closest_marker(other)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker(other)]


def pytest_collection_finish() -> None:
    """Spare the garbage collector what is there to stay: modules and thousands of tests."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a build in which a test was skipped: nobody would notice that it never runs."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or PROFILE != "ci":
        return
    missed = sum(len(reporter.stats.get(outcome, ())) for outcome in ("skipped", "xfailed"))
    if missed:
        reporter.write_line(
            f"\n{missed} skipped or expected to fail: not in this profile", red=True
        )
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


class ManualClock:
    """A clock that stands still until a test moves it; lengths of time move with it."""

    def __init__(self, moment: datetime) -> None:
        self._now_ms = to_ms(moment)
        self._elapsed = 0.0

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic(self) -> float:
        return self._elapsed

    def advance(self, *, seconds: float) -> None:
        """Let time pass."""
        self._now_ms += round(seconds * 1000)
        self._elapsed += seconds

    def set(self, moment: datetime) -> None:
        """Jump to a moment, as a machine's clock may: no time has passed."""
        self._now_ms = to_ms(moment)


class QueryRecorder:
    """The statements that reach the database, in their order; beginning is none of them."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def record(self, statement: str) -> None:
        if not statement.startswith("BEGIN"):
            self.statements.append(statement)

    def clear(self) -> None:
        self.statements.clear()

    @property
    def selects(self) -> list[str]:
        """Return those that read."""
        return [statement for statement in self.statements if statement.startswith("SELECT")]

    @property
    def writes(self) -> list[str]:
        """Return those that do not."""
        return [statement for statement in self.statements if not statement.startswith("SELECT")]


@pytest.fixture(scope="session")
def databases(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Databases]:
    config = request.config
    found: Databases
    if config.getoption("db") == "sqlite":
        found = SqliteFiles(tmp_path_factory.mktemp("template"))
    elif hasattr(config, "workerinput"):
        found = PostgresDatabases(config.workerinput["template_url"])
    else:
        found = PostgresDatabases(config.stash[_SERVER].template_url)
    yield found
    found.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    folder = tmp_path / "instance"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(instance: Path, databases: Databases) -> Settings:
    """An instance whose database has the current schema and no rows.

    Nothing is cached: tests may change rows without the event that a cache goes by. Credentials
    may fail as often as they like, but in the tests of just that.
    """
    url = databases.migrated(instance)
    return Settings(instance=instance, database_url=url, cache_entries=0, throttle=False)


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes of passwords that take no time, where a test needs many and none of their strength."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_HASHER", cheap)


@pytest.fixture
def empty_settings(instance: Path, databases: Databases) -> Settings:
    """An instance whose database has no schema; the test may do to it what it likes."""
    return Settings(instance=instance, database_url=databases.own(instance))


@pytest.fixture
def app(settings: Settings, clock: ManualClock) -> Iterator[Flask]:
    app = create_app(settings, clock)
    app.testing = True
    yield app
    with suppress(StorageUnavailable):
        app.extensions["tokensrv_usage"].close()
    app.extensions["tokensrv_lookup"].close()
    app.extensions["tokensrv"].close()


@pytest.fixture
def store(app: Flask) -> Store:
    found: Store = app.extensions["tokensrv"]
    return found


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def runner(settings: Settings) -> CliRunner:
    """Commands that find this instance as people's do: by their environment."""
    return CliRunner(env=environment(settings))


@pytest.fixture
def query_recorder(store: Store, monkeypatch: pytest.MonkeyPatch) -> QueryRecorder:
    recorder = QueryRecorder()

    @event.listens_for(store.engine, "before_cursor_execute")
    def _record(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        recorder.record(statement)

    if store.readers is not None:
        fetch = store.readers.fetch

        def recorded(sql: str, parameters: Any) -> list[Any]:
            recorder.record(sql)
            return fetch(sql, parameters)

        monkeypatch.setattr(store.readers, "fetch", recorded)
    return recorder
