"""The second factor by passkey: at sign-in, and when it must be proven anew.

A script asks what is to be signed, and sends the answer as a form.
"""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from tokensrv.http import context
from tokensrv.services.account import second_step
from tokensrv.services.account.factors import passkeys
from tokensrv.services.account.proof import Denied
from tokensrv.services.account.sessions import NewSession
from tokensrv.web import cookies
from tokensrv.web.admission import current
from tokensrv.web.forms import Form
from tokensrv.web.sign_in import confirm, steps, verify

bp = Blueprint("passkey", __name__, url_prefix="/users")


@bp.post("/sign_in/verify/passkey/options")
def ask() -> ResponseReturnValue:
    """Say what a passkey must sign to go on with the sign-in."""
    return _options()


@bp.post("/sign_in/verify/passkey")
def take() -> ResponseReturnValue:
    """Take what a passkey signed, and go on with the sign-in."""
    form = Form(request.form)
    new = _verified(form)
    return verify.draw(form, new, "passkey") if isinstance(new, Denied) else steps.go_on(new)


@bp.post("/confirm/passkey/options")
def ask_again() -> ResponseReturnValue:
    """Say what a passkey must sign to prove anew whose session this is."""
    return _options()


@bp.post("/confirm/passkey")
def take_again() -> ResponseReturnValue:
    """Take what a passkey signed; the password comes next."""
    form = Form(request.form)
    new = _verified(form)
    if isinstance(new, Denied):
        return verify.draw(form, new, "passkey")
    cookies.keep_session(new)
    return confirm.again()


def _options() -> Response:
    options = passkeys.request_options(context.store(), current())
    return Response(options, content_type="application/json")


def _verified(form: Form) -> NewSession | Denied:
    answer = form.raw("passkey")
    return second_step.verify_passkey(context.store(), context.origin(), current(), answer)
