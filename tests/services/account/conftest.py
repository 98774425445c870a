"""A Store on which credentials may not fail as often as they like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.conftest import ManualClock
from tests.databases import opened
from tokensrv.config import Settings
from tokensrv.db import Store


@pytest.fixture
def throttled(settings: Settings, clock: ManualClock) -> Iterator[Store]:
    with opened(replace(settings, throttle=True, threads=16), clock) as store:
        yield store
