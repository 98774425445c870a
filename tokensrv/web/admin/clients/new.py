"""A new client, whose secret is shown in the answer alone."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.errors import SentTwice
from tokensrv.http.context import origin, store
from tokensrv.services import submissions
from tokensrv.services.directory import clients
from tokensrv.web import cookies
from tokensrv.web.admin.clients import secret
from tokensrv.web.admin.clients.values import draw, form_of_new, values
from tokensrv.web.forms import REFUSALS, Form

bp = Blueprint("new_client", __name__, url_prefix="/admin/clients/new")

_TEMPLATE: Final = "admin/clients/new.html"


@bp.get("")
def show() -> ResponseReturnValue:
    """Ask what it is to be; the address may fill the form in."""
    return draw(_TEMPLATE, form_of_new(request.args), submission=submissions.new())


@bp.post("")
def create() -> ResponseReturnValue:
    """Make it, once, however often the form is sent."""
    form = Form(request.form)
    submission = form.text("submission")
    try:
        new = clients.create(store(), origin(), values(form), submission=submission or None)
    except REFUSALS as refused:
        form.refuse_by(refused)
        return draw(_TEMPLATE, form, 422, submission=submission)
    except SentTwice:
        cookies.leave_notice(
            "The form was sent twice: one client was made. Its secret stood in the first answer;"
            " if you did not get it, rotate it."
        )
        return redirect(url_for("web.clients.show"), 303)
    return secret.show_once(new, 201)
