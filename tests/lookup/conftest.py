"""A Store without any application around it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import ManualClock
from tests.databases import opened
from tokensrv.config import Settings
from tokensrv.db import Store


@pytest.fixture
def store(settings: Settings, clock: ManualClock) -> Iterator[Store]:
    with opened(settings, clock) as store:
        yield store
