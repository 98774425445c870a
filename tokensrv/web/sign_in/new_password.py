"""The new password of whoever signs in with one that an admin has chosen."""

from __future__ import annotations

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from tokensrv.errors import InvalidRecord
from tokensrv.http import context
from tokensrv.services.account import own_password
from tokensrv.web.admission import current
from tokensrv.web.forms import Form
from tokensrv.web.rendering import page
from tokensrv.web.sign_in import steps

bp = Blueprint("new_password", __name__, url_prefix="/users/password/new")

_TEMPLATE = "sign_in/new_password.html"


@bp.get("")
def show() -> ResponseReturnValue:
    """Ask for it, twice."""
    return page(_TEMPLATE, form=Form(request.form))


@bp.post("")
def change() -> ResponseReturnValue:
    """Set it, which completes the sign-in."""
    form = Form(request.form)
    chosen = form.twice("new_password", "confirm_new_password")
    if form.is_good:
        try:
            new = own_password.change_expired_password(
                context.store(), context.origin(), current(), chosen
            )
            return steps.go_on(new)
        except InvalidRecord as refused:
            form.refuse_by(refused, {"password": "new_password"})
    return page(_TEMPLATE, 422, form=form)
