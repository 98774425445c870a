"""The page of a reset link: whoever has its code sets a new password, and signs in himself.

The code stands behind the ``#`` of the address; a script moves it into its field, where it can be
pasted as well.
"""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.errors import Invalid
from tokensrv.http import context
from tokensrv.services.account import resets
from tokensrv.web import cookies
from tokensrv.web.forms import Form
from tokensrv.web.rendering import page

bp = Blueprint("reset", __name__, url_prefix=resets.PATH)

_TEMPLATE = "sign_in/reset.html"


@bp.get("")
def show() -> ResponseReturnValue:
    """Ask for the code and the new password."""
    return page(_TEMPLATE, form=Form(request.form))


@bp.post("")
def change() -> ResponseReturnValue:
    """Set the password."""
    form = Form(request.form)
    chosen = form.twice("new_password", "confirm_new_password")
    if form.is_good:
        try:
            resets.use(context.store(), context.origin(), form.text("code"), chosen)
            cookies.leave_notice("Your password is set. Sign in with it.")
            return redirect(url_for("web.sign_in.show"), 303)
        except Invalid as refused:
            form.refuse_by(refused, {"password": "new_password"})
    return page(_TEMPLATE, 422, form=form)
