"""Re-authentication: who is signed in proves anew who he is, before what makes credentials.

Whoever has a second factor proves that first, unless he has done so lately.
"""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.http import context
from tokensrv.services.account import second_step, signing_in
from tokensrv.services.account.proof import Denied, Reason
from tokensrv.web import cookies
from tokensrv.web.admission import browser, current
from tokensrv.web.forms import Form
from tokensrv.web.rendering import page
from tokensrv.web.sign_in import steps
from tokensrv.web.sign_in import verify as second

bp = Blueprint("confirm", __name__, url_prefix="/users/confirm")

_TEMPLATE = "sign_in/confirm.html"


@bp.get("")
def show() -> ResponseReturnValue:
    """Ask for what is to be proven next."""
    is_second = signing_in.needs_second_factor(context.store(), current())
    form = Form(request.form)
    return second.draw(form) if is_second else page(_TEMPLATE, form=form)


@bp.post("")
def confirm() -> ResponseReturnValue:
    """Take the password."""
    form = Form(request.form)
    new = signing_in.confirm_again(
        context.store(), context.origin(), current(), form.raw("password"), browser()
    )
    if not isinstance(new, Denied):
        return steps.go_on(new)
    if new.reason is Reason.SECOND_FACTOR:
        return again()
    return steps.refuse(_TEMPLATE, form, new, field="password")


@bp.post("/verify")
def verify() -> ResponseReturnValue:
    """Take a code; the password comes next."""
    form = Form(request.form)
    new = second_step.verify_code(
        context.store(), context.origin(), current(), form.text("code"), browser()
    )
    if isinstance(new, Denied):
        return second.draw(form, new)
    cookies.keep_session(new)
    return again()


def again() -> ResponseReturnValue:
    """Lead back to what is to be proven next."""
    return redirect(url_for("web.confirm.show", next=request.args.get("next")), 303)
