"""Routes: all that the API has, added to an application."""

from __future__ import annotations

from flask import Flask

from tokensrv.api import (
    about,
    admin_token,
    clients,
    events,
    explanation,
    impersonation_tokens,
    openapi,
    repository_rules,
    self_token,
    ssh_keys,
    tokens,
    user_states,
    user_tokens,
)

BLUEPRINTS = (
    self_token.bp,
    tokens.bp,
    user_tokens.bp,
    impersonation_tokens.bp,
    admin_token.bp,
    user_states.bp,
    about.bp,
    clients.bp,
    explanation.bp,
    events.bp,
    repository_rules.bp,
    ssh_keys.bp,
)


def init_app(app: Flask) -> None:
    """Add the routes of the API and their description at ``/openapi.json``."""
    # GitLab's objects have an order in which people read them.
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's default provider
    api = openapi.build(app)
    for bp in BLUEPRINTS:
        api.register_blueprint(bp)
    # The one route of the version before that GitLab still answers.
    app.add_url_rule("/api/v3/user", "users.current_user", methods=["GET"])
