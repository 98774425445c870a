"""Clients: the internal services that may introspect, as admins make and change them."""

from __future__ import annotations

from typing import Any

from tokensrv.api.blueprint import Blueprint
from tokensrv.api.pagination import check_offset, headers
from tokensrv.api.schemas.clients import (
    ChangeClient,
    ClientObject,
    CreateClient,
    ListClients,
    NewClientObject,
)
from tokensrv.http.context import origin, store
from tokensrv.services.directory import clients
from tokensrv.services.directory.client_values import ClientValues
from tokensrv.services.pages import PageRequest
from tokensrv.services.records import ClientRecord, NewClient

bp = Blueprint("clients", __name__, url_prefix="/api/v4/tokensrv/clients")


@bp.verb("GET", "", takes=ListClients, gives=ClientObject(many=True), fails={405})
def list_clients(wanted: PageRequest) -> Any:
    """List clients, the oldest first. Admins only."""
    check_offset(wanted, "Client")
    page = clients.list_page(store(), wanted)
    return page.items, headers(page)


@bp.verb("POST", "", takes=CreateClient, gives=NewClientObject, status=201)
def create_client(values: ClientValues) -> NewClient:
    """Make a client, with a secret unless it has keys alone. Admins only."""
    return clients.create(store(), origin(), values)


@bp.verb("GET", "/<client_id>", gives=ClientObject, fails={404})
def get_client(client_id: str) -> ClientRecord:
    """Show a client. Admins only."""
    return clients.get(store(), client_id)


@bp.verb("PATCH", "/<client_id>", takes=ChangeClient, gives=ClientObject, fails={404})
def change_client(values: ClientValues, client_id: str) -> ClientRecord:
    """Change a client. Admins only."""
    return clients.change(store(), origin(), client_id, values)


@bp.verb("PUT", "/<client_id>", takes=ChangeClient, gives=ClientObject, fails={404})
def update_client(values: ClientValues, client_id: str) -> ClientRecord:
    """Change a client; as everywhere in GitLab's API, what is not given stays. Admins only."""
    return clients.change(store(), origin(), client_id, values)


@bp.verb("DELETE", "/<client_id>", status=204, fails={404})
def delete_client(client_id: str) -> None:
    """Delete a client at once and for good. Admins only."""
    clients.delete(store(), origin(), client_id)


@bp.verb("POST", "/<client_id>/rotate_secret", gives=NewClientObject, fails={404})
def rotate_secret(client_id: str) -> NewClient:
    """Give a client a new secret; the one before stays valid until the next time. Admins only."""
    return clients.rotate_secret(store(), origin(), client_id)


@bp.verb("POST", "/<client_id>/disable", gives=ClientObject, fails={404})
def disable_client(client_id: str) -> ClientRecord:
    """Disable a client: it cannot authenticate any more. Admins only."""
    clients.disable(store(), origin(), client_id)
    return clients.get(store(), client_id)


@bp.verb("POST", "/<client_id>/enable", gives=ClientObject, fails={404})
def enable_client(client_id: str) -> ClientRecord:
    """Enable a client again. Admins only."""
    clients.enable(store(), origin(), client_id)
    return clients.get(store(), client_id)
