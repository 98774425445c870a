"""The second step of signing in, for whoever has a second factor."""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from tokensrv.http import context
from tokensrv.services.account import second_factors, second_step
from tokensrv.services.account.proof import Denied
from tokensrv.web.admission import browser, current
from tokensrv.web.forms import Form
from tokensrv.web.rendering import page
from tokensrv.web.sign_in import steps

bp = Blueprint("verify", __name__, url_prefix="/users/sign_in/verify")

_TEMPLATE = "sign_in/verify.html"


@bp.get("")
def show() -> ResponseReturnValue:
    """Ask for a code."""
    return draw(Form(request.form))


@bp.post("")
def verify() -> ResponseReturnValue:
    """Take a code of an app, or a recovery code."""
    form = Form(request.form)
    new = second_step.verify_code(
        context.store(), context.origin(), current(), form.text("code"), browser()
    )
    if isinstance(new, Denied):
        return draw(form, new)
    return steps.go_on(new)


def draw(form: Form, denied: Denied | None = None, field: str = "code") -> Response:
    """Return the page, with what was refused beside this field."""
    factors = second_factors.get(context.store(), current().user.id)
    if denied is None:
        return page(_TEMPLATE, form=form, factors=factors)
    return steps.refuse(_TEMPLATE, form, denied, field=field, factors=factors)
