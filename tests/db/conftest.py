"""A Store without any application, impatient so that waiting in vain is soon over."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import ManualClock
from tests.databases import opened
from tokensrv.config import Settings
from tokensrv.db import Store

TIMEOUT_SECONDS = 0.3


@pytest.fixture
def impatient(settings: Settings) -> Settings:
    return dataclasses.replace(settings, storage_timeout_seconds=TIMEOUT_SECONDS)


@pytest.fixture
def store(impatient: Settings, clock: ManualClock) -> Iterator[Store]:
    with opened(impatient, clock) as store:
        yield store


@pytest.fixture
def in_thread() -> Iterator[Callable[[Callable[[], object]], threading.Thread]]:
    """Start threads, and wait for their end when the test is over."""
    threads = []

    def start(target: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        threads.append(thread)
        return thread

    yield start
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for what another thread or process does."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
