"""One's own password, changed by whoever knows the one before."""

from __future__ import annotations

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from tokensrv.errors import InvalidRecord
from tokensrv.http import context
from tokensrv.services.account import own_password
from tokensrv.services.account.proof import Denied
from tokensrv.web import cookies
from tokensrv.web.admission import browser, current
from tokensrv.web.forms import Form
from tokensrv.web.rendering import page
from tokensrv.web.settings.account import overview
from tokensrv.web.sign_in import steps

bp = Blueprint("password", __name__, url_prefix="/-/user_settings/account/password")

_TEMPLATE = "settings/password.html"


@bp.get("")
def show() -> ResponseReturnValue:
    """Ask for the old one, and for the new one twice."""
    return page(_TEMPLATE, form=Form(request.form))


@bp.post("")
def change() -> ResponseReturnValue:
    """Change it; all other sessions end."""
    form = Form(request.form)
    chosen = form.twice("new_password", "confirm_new_password")
    if not form.is_good:
        return page(_TEMPLATE, 422, form=form)
    try:
        new = own_password.set_own_password(
            context.store(), context.origin(), current(), form.raw("password"), chosen, browser()
        )
    except InvalidRecord as refused:
        form.refuse_by(refused, {"password": "new_password"})
        return page(_TEMPLATE, 422, form=form)
    if isinstance(new, Denied):
        return steps.refuse(_TEMPLATE, form, new, field="password")
    cookies.keep_session(new)
    return overview.back("Your password is changed, and your other sessions have ended.")
