"""The edge for proxies and tools: forward-auth, Git over HTTP, container registries.

It owns what each of them sends and wants to hear. Whether a credential opens a gate is
``services.gates``; the command line has the gates of SSH.
"""

from __future__ import annotations

from flask import Flask

from tokensrv.gate import auth, fastpath, git, registry


def init_app(app: Flask) -> None:
    """Add the routes of the edge to the application, and its fast path in front of it."""
    auth.init_app(app)
    git.init_app(app)
    registry.init_app(app)
    fastpath.init_app(app)
