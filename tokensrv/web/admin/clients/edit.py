"""Editing a client: what it is called, what it may do, how it says who it is, and its keys."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.clock import to_ms
from tokensrv.errors import Stale
from tokensrv.http.context import origin, store
from tokensrv.services.directory import clients
from tokensrv.services.records import ClientRecord
from tokensrv.web import cookies
from tokensrv.web.admin.clients.values import draw, form_of, values
from tokensrv.web.forms import REFUSALS, WHOLE, Form

bp = Blueprint("client_edit", __name__, url_prefix="/admin/clients/<client_id>/edit")

_STALE: Final = (
    "Somebody changed this client since you opened this form, and nothing was saved. Look at it as"
    " it is now: to save what stands here takes back what was changed."
)


@bp.get("")
def show(client_id: str) -> ResponseReturnValue:
    """Show it as it is now; the address may hold what somebody was typing, and since when."""
    client = clients.get(store(), client_id)
    form = form_of(client, request.args)
    return _draw(form, client, seen=form.number("seen"))


@bp.post("")
def change(client_id: str) -> ResponseReturnValue:
    """Change it, unless it was changed since the form was first shown."""
    form, client = Form(request.form), clients.get(store(), client_id)
    try:
        clients.change(store(), origin(), client_id, values(form), seen_ms=form.number("seen"))
    except REFUSALS as refused:
        form.refuse_by(refused)
        return _draw(form, client, 422)
    except Stale:
        form.refuse(WHOLE, _STALE)
        return _draw(form, client, 409)
    cookies.leave_notice("The client was changed.")
    return redirect(url_for("web.client.show", client_id=client_id), 303)


def _draw(
    form: Form, client: ClientRecord, status: int = 200, *, seen: int | None = None
) -> Response:
    shown = {"client": client, "seen": seen or to_ms(client.updated_at)}
    return draw("admin/clients/edit.html", form, status, **shown)
