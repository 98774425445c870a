"""The factory: a table of contents, and the only place where the parts meet."""

from __future__ import annotations

import os

from flask import Flask

from tokensrv import gate, lookup, oauth, web
from tokensrv.api import routes
from tokensrv.clock import Clock, SystemClock
from tokensrv.config import Settings, load
from tokensrv.db import Store
from tokensrv.db.extension import db
from tokensrv.db.store import database_url, engine_options
from tokensrv.http import setup
from tokensrv.services.lifecycle.pruning import Pruning
from tokensrv.services.metering import cache_metrics
from tokensrv.services.metering.metrics import Metrics
from tokensrv.services.metering.node_metrics import NodeMetrics
from tokensrv.services.reports.tallies import Tallies
from tokensrv.services.trail.usage import Usage


def create_app(settings: Settings | None = None, clock: Clock | None = None) -> Flask:
    """Return the application; without settings those of the environment.

    Connects to nothing and migrates nothing. Raises ConfigError.
    """
    settings = settings or load(os.environ)
    app = Flask("tokensrv", static_folder=None)
    app.config["SQLALCHEMY_DATABASE_URI"] = database_url(settings)
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(settings)
    # A doubled slash is no route; merging would redirect to whatever the Host header names.
    app.url_map.merge_slashes = False
    # A route answers the methods that it names, and nothing else.
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    db.init_app(app)
    with app.app_context():
        store = Store(db.engine, clock or SystemClock(), settings)
    app.extensions["tokensrv"] = store
    app.extensions["tokensrv_lookup"] = found = lookup.build(store)
    app.extensions["tokensrv_pruning"] = pruning = Pruning(store)
    app.extensions["tokensrv_metrics"] = metrics = Metrics()
    usage = Usage(store, begins=pruning.start, tallies=Tallies(store, metrics))
    app.extensions["tokensrv_usage"] = usage
    app.extensions["tokensrv_node_metrics"] = NodeMetrics(metrics.registry)
    metrics.hold("tokensrv_usage_waiting", "Uses that are not written yet.", usage.waiting)
    cache_metrics.watch(metrics, store, found)
    setup.init_app(app)
    routes.init_app(app)
    oauth.init_app(app)
    web.init_app(app)
    gate.init_app(app)
    return app
