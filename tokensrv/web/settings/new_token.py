"""A new token: the form that asks for it, and the one answer that holds its secret.

The answer stands at the address of the list, so that whoever reloads it finds the list.
"""

from __future__ import annotations

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.errors import SentTwice
from tokensrv.http import context
from tokensrv.services.lifecycle import minting
from tokensrv.web.forms import REFUSALS, Form
from tokensrv.web.rendering import page
from tokensrv.web.tokens.form import offer, prefilled, wish
from tokensrv.web.tokens.reveal import reveal

bp = Blueprint("new_token", __name__, url_prefix="/-/user_settings/personal_access_tokens")


@bp.get("/new")
def show() -> ResponseReturnValue:
    """Show the form, filled in as the address says. Nothing is made."""
    return _ask(prefilled(), 200)


@bp.post("")
def create() -> ResponseReturnValue:
    """Make the token and show its secret, once."""
    form = Form(request.form)
    wanted, submission = wish(form), form.raw("submission") or None
    if not form.is_good:
        return _ask(form, 422)
    try:
        new = minting.create_for_self(
            context.store(), context.origin(), wanted, submission=submission
        )
    except SentTwice:
        return page("settings/sent_twice.html", 409)
    except REFUSALS as problem:
        form.refuse_by(problem)
        return _ask(form, 422)
    return reveal(
        new,
        context.caller().subject.username,
        template="settings/new_secret.html",
        back=url_for("web.tokens.show"),
        is_rotated=False,
    )


def _ask(form: Form, status: int) -> ResponseReturnValue:
    offered = offer(form, is_admin=context.caller().subject.is_admin)
    return page("settings/new_token.html", status, form=form, offer=offered)
