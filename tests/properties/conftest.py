from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from tests.conftest import ManualClock
from tests.properties.doors import Doors
from tests.properties.worlds import Stage, build
from tokensrv.app import create_app
from tokensrv.config import Settings


@pytest.fixture(
    params=[(False, False), (True, False), (False, True), (True, True)],
    ids=["default policy", "admins may be targets", "reasons are required", "both"],
)
def policed(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """The settings under every policy for sudo; what happens here the cache must hear of."""
    admin_targets, reason_required = request.param
    return replace(
        settings,
        sudo_admin_targets=admin_targets,
        sudo_reason_required=reason_required,
        cache_entries=1000,
    )


@pytest.fixture
def app(policed: Settings, clock: ManualClock) -> Iterator[Flask]:
    app = create_app(policed, clock)
    app.testing = True
    yield app
    app.extensions["tokensrv_usage"].close()
    app.extensions["tokensrv_lookup"].close()
    app.extensions["tokensrv"].close()


@pytest.fixture
def stage(app: Flask) -> Stage:
    return build(app.extensions["tokensrv"])


@pytest.fixture
def doors(app: Flask, stage: Stage) -> Doors:
    return Doors(app.test_client(), stage.token.secret, stage.admin.secret)
