"""Editing a client: what it is called, what it may do, how it says who it is, and its keys."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.http.context import origin, store
from tokensrv.services import clients
from tokensrv.web import cookies
from tokensrv.web.admin.clients.values import draw, form_of, values
from tokensrv.web.forms import REFUSALS, Form

bp = Blueprint("client_edit", __name__, url_prefix="/admin/clients/<client_id>/edit")

_TEMPLATE: Final = "admin/clients/edit.html"


@bp.get("")
def show(client_id: str) -> ResponseReturnValue:
    """Show it as it is now; the address may hold what somebody was typing."""
    client = clients.get(store(), client_id)
    return draw(_TEMPLATE, form_of(client, request.args), client=client)


@bp.post("")
def change(client_id: str) -> ResponseReturnValue:
    """Change it."""
    form, client = Form(request.form), clients.get(store(), client_id)
    try:
        clients.change(store(), origin(), client_id, values(form))
    except REFUSALS as refused:
        form.refuse_by(refused)
        return draw(_TEMPLATE, form, 422, client=client)
    cookies.leave_notice("The client was changed.")
    return redirect(url_for("web.client.show", client_id=client_id), 303)
