"""What is tried before workers are started or replaced, and that it never holds a server up."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import click
import pytest
from sqlalchemy import text

from tests.conftest import ManualClock
from tests.databases import opened
from tests.factories import make_user
from tests.processes import environment
from tokensrv.cli.serve import preparation
from tokensrv.cli.serve.preparation import checked, in_child, prepared
from tokensrv.cli.serve.reload import Reload
from tokensrv.cli.serve.server import Server
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.errors import SchemaMismatch
from tokensrv.services import schema
from tokensrv.services.schema import ADVICE, SchemaState

# The tests run in processes with several threads; `tokensrv serve` has one when it forks.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*multi-threaded, use of fork:DeprecationWarning",
)


def _use(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)


def _set_revision(settings: Settings, revision: str) -> None:
    with opened(settings) as store, store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})


def _state(settings: Settings) -> SchemaState:
    with opened(settings) as store:
        return schema.state(store)


def _never() -> Settings:
    signal.pause()
    raise AssertionError


def _dies() -> Settings:
    os._exit(3)


def test_a_database_that_fits_is_accepted(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_user(store)
    _use(settings, monkeypatch)
    assert checked(None).instance == settings.instance


def test_a_start_upgrades_and_a_reload_only_looks(
    empty_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(empty_settings, monkeypatch)
    with pytest.raises(SchemaMismatch, match="has no schema; run `tokensrv init`"):
        checked(None)
    assert _state(empty_settings) is SchemaState.EMPTY
    with pytest.raises(click.ClickException, match="no user yet"):
        prepared(None)
    assert _state(empty_settings) is SchemaState.CURRENT
    with pytest.raises(click.ClickException, match="no user yet"):
        checked(None)


@pytest.mark.parametrize(
    ("revision", "found"),
    [("0001_core", SchemaState.OLDER), ("9999_later", SchemaState.NEWER)],
)
def test_a_reload_refuses_any_other_schema_and_leaves_it(
    empty_settings: Settings,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    revision: str,
    found: SchemaState,
) -> None:
    _use(empty_settings, monkeypatch)
    schema.upgrade(empty_settings, clock)
    _set_revision(empty_settings, revision)
    with pytest.raises(SchemaMismatch) as caught:
        checked(None)
    assert str(caught.value) == ADVICE[found]
    assert _state(empty_settings) is found


def test_what_hangs_is_killed_after_its_time() -> None:
    with pytest.raises(TimeoutError, match=r"took over 0\.1 s"):
        in_child(_never, seconds=0.1)
    (child,) = preparation.multiprocessing.active_children()
    child.join(10)
    assert child.exitcode == -signal.SIGKILL


def test_what_cannot_even_be_killed_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # As in the kernel's uninterruptible sleep.
    monkeypatch.setattr("multiprocessing.process.BaseProcess.kill", lambda _child: None)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        in_child(_never, seconds=0.1)
    assert time.monotonic() - began < 5
    (child,) = preparation.multiprocessing.active_children()
    os.kill(cast(int, child.pid), signal.SIGKILL)
    child.join(10)


def test_what_dies_without_an_answer_is_a_refusal() -> None:
    with pytest.raises(click.ClickException, match="ended by itself"):
        in_child(_dies, seconds=10)


class Reloaded:
    """Stands for Granian: how many threads its new workers get, and how often it replaced them."""

    blocking_threads = 1

    def __init__(self) -> None:
        self.reloads = 0

    def reload(self, _number: int, _frame: Any) -> None:
        self.reloads += 1


@pytest.fixture
def server() -> Iterator[Reloaded]:
    """A server whose handler of SIGHUP is set."""
    before, server = signal.getsignal(signal.SIGHUP), Reloaded()
    signal.signal(signal.SIGHUP, server.reload)
    yield server
    signal.signal(signal.SIGHUP, before)


def _install(server: Reloaded, check: Callable[[], Settings]) -> None:
    Reload(cast(Server, server), check).install()


def test_a_reload_that_is_tried_in_vain_for_too_long_is_refused(
    server: Reloaded, caplog: pytest.LogCaptureFixture
) -> None:
    _install(server, lambda: in_child(_never, seconds=0.1))
    with caplog.at_level(logging.INFO, "tokensrv.serve"):
        signal.raise_signal(signal.SIGHUP)
    (record,) = caplog.records
    assert (record.message, record.__dict__["cause"]) == ("reload.refused", "TimeoutError")
    assert server.reloads == 0


def test_a_reload_that_can_be_done_is_granians(server: Reloaded, settings: Settings) -> None:
    _install(server, lambda: settings)
    signal.raise_signal(signal.SIGHUP)
    assert (server.reloads, server.blocking_threads) == (1, settings.threads)


def test_a_reload_has_half_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float | None] = []

    def record(_task: Callable[[], Settings], *, seconds: float | None) -> Settings:
        given.append(seconds)
        return Settings()

    monkeypatch.setattr(preparation, "in_child", record)
    checked(None)
    # An upgrade of the schema takes as long as it takes.
    prepared(None)
    assert given == [30, None]
