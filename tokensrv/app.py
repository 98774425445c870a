"""The factory: a table of contents, and the only place where the parts meet."""

from __future__ import annotations

import os

from flask import Flask

from tokensrv import api, http, lookup, oauth
from tokensrv.clock import Clock, SystemClock
from tokensrv.config import Settings, load
from tokensrv.db import Store, db
from tokensrv.db.store import database_url, engine_options
from tokensrv.services.usage import Usage


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
    app.extensions["tokensrv_lookup"] = lookup.build(store)
    app.extensions["tokensrv_usage"] = Usage(store)
    http.init_app(app)
    api.init_app(app)
    oauth.init_app(app)
    return app
