"""The OAuth edge: introspection, revocation, exchange, and the metadata that tells where they are.

It owns Authlib's endpoints and what this server asks of them beyond Authlib. It decides nothing:
who may be told what is ``services.introspection`` and ``services.lifecycle.tokens``.
"""

from __future__ import annotations

from flask import Flask

from tokensrv.oauth import fastpath, metadata, routes


def init_app(app: Flask) -> None:
    """Add the routes of the edge to the application, and the fast path in front of it."""
    routes.init_app(app)
    metadata.init_app(app)
    fastpath.init_app(app)
