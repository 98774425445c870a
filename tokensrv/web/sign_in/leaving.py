"""Signing out."""

from __future__ import annotations

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from tokensrv.http import context
from tokensrv.services.account import endings
from tokensrv.web import cookies
from tokensrv.web.admission import find_current

bp = Blueprint("leaving", __name__, url_prefix="/users")


@bp.post("/sign_out")
def sign_out() -> ResponseReturnValue:
    """End the session of this browser, if it has one."""
    current = find_current()
    if current is not None:
        endings.sign_out(context.store(), context.origin(), current)
    cookies.forget_session()
    cookies.leave_notice("You are signed out.")
    return redirect(url_for("web.sign_in.show"), 303)
