"""Sign in: the first step, a name and a password."""

from __future__ import annotations

from flask import Blueprint, redirect, request
from flask.typing import ResponseReturnValue

from tokensrv.http import context
from tokensrv.services.account import signing_in
from tokensrv.services.account.proof import Denied
from tokensrv.services.account.sessions import Stage
from tokensrv.web.admission import browser, find_current
from tokensrv.web.forms import Form
from tokensrv.web.rendering import page
from tokensrv.web.sign_in import steps

bp = Blueprint("sign_in", __name__, url_prefix="/users/sign_in")

_TEMPLATE = "sign_in/sign_in.html"


@bp.get("")
def show() -> ResponseReturnValue:
    """Ask for both; whoever is signed in is led on."""
    current = find_current()
    if current is not None and current.session.stage is Stage.FULL:
        return redirect(steps.wanted(), 303)
    return page(_TEMPLATE, form=Form(request.form))


@bp.post("")
def sign_in() -> ResponseReturnValue:
    """Open a session; the one that this browser had is over."""
    form = Form(request.form)
    new = signing_in.sign_in(
        context.store(),
        context.origin(),
        form.text("login"),
        form.raw("password"),
        browser(),
        previous=find_current(),
    )
    return steps.refuse(_TEMPLATE, form, new) if isinstance(new, Denied) else steps.go_on(new)
