"""A client: what it may do, how it says who it is, and its keys."""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue

from tokensrv.http.context import settings, store
from tokensrv.services.directory import clients
from tokensrv.services.directory.client_values import SECRET_METHODS
from tokensrv.services.keys.client_keys import thumbprints
from tokensrv.web.admin.clients.values import ALLOW
from tokensrv.web.rendering import page

bp = Blueprint("client", __name__, url_prefix="/admin/clients/<client_id>")


@bp.get("")
def show(client_id: str) -> ResponseReturnValue:
    """Show it."""
    client = clients.get(store(), client_id)
    keys = (client.jwks or {}).get("keys", ())
    return page(
        "admin/clients/client.html",
        client=client,
        has_secret=not set(SECRET_METHODS).isdisjoint(client.auth_methods),
        keys=list(zip(keys, thumbprints(client.jwks), strict=True)),
        allowable=ALLOW,
        url=settings().external_url,
    )
