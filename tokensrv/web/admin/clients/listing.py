"""The list of clients, the oldest first."""

from __future__ import annotations

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from tokensrv.http.context import store
from tokensrv.services.directory import clients
from tokensrv.web.forms import Form
from tokensrv.web.paging import page_request
from tokensrv.web.rendering import page

bp = Blueprint("clients", __name__, url_prefix="/admin/clients")


@bp.get("")
def show() -> ResponseReturnValue:
    """Show the clients."""
    found = clients.list_page(store(), page_request(Form(request.args)))
    return page("admin/clients/list.html", found=found)
