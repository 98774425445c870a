"""Setup: what every edge shares, put around an application."""

from __future__ import annotations

from flask import Flask

from tokensrv.http import around, context, errors, guard, health, logs, metrics, paths


def init_app(app: Flask) -> None:
    """Put around every route what all of them share.

    The order is that of a request: it gets its id, needs a schema that fits, and is let in.
    """
    logs.configure()
    paths.init_app(app)
    context.init_app(app)
    around.init_app(app)
    metrics.init_app(app)
    health.init_app(app)
    guard.init_app(app)
    errors.init_app(app)
