"""An application made of the shared parts alone, with a small view behind every permission."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import ManualClock
from tests.databases import opened
from tokensrv import lookup
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.http import context, guard, setup
from tokensrv.http.permissions import PERMISSIONS
from tokensrv.services.metering.metrics import Metrics
from tokensrv.services.metering.node_metrics import NodeMetrics
from tokensrv.services.trail.usage import Usage

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@pytest.fixture
def edge(settings: Settings, clock: ManualClock) -> Iterator[Flask]:
    """The view of an endpoint answers at ``/api/v4/<endpoint>`` and says who called as whom."""
    with opened(settings, clock) as store:
        app = Flask("edge", static_folder=None)
        app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
        usage, metrics = Usage(store), Metrics()
        app.extensions |= {
            "tokensrv": store,
            "tokensrv_lookup": lookup.build(store),
            "tokensrv_usage": usage,
            "tokensrv_metrics": metrics,
            "tokensrv_node_metrics": NodeMetrics(metrics.registry),
        }
        setup.init_app(app)
        for endpoint in PERMISSIONS:
            view = app.view_functions.get(endpoint, _who)
            app.add_url_rule(f"/api/v4/{endpoint}", endpoint, view, methods=METHODS)
        yield app
        usage.close()


def _who() -> dict[str, object]:
    guard.require_role()
    caller = context.caller()
    return {"actor": caller.actor.username, "subject": caller.subject.username}


@pytest.fixture
def store(edge: Flask) -> Store:
    found: Store = edge.extensions["tokensrv"]
    return found


@pytest.fixture
def http_client(edge: Flask) -> FlaskClient:
    return edge.test_client()
