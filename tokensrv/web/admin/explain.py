"""Explanations: why a token is active or not, check by check, for whoever is asked why.

The token comes by its id or its secret. A secret stands in the form that is sent, and in no
answer, no address and no record.
"""

from __future__ import annotations

from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from tokensrv.domain import networks
from tokensrv.domain.explanation import Explanation
from tokensrv.domain.introspection import Question
from tokensrv.domain.texts import is_storable
from tokensrv.errors import Invalid, NotFound
from tokensrv.http import context
from tokensrv.http.parse import sudo
from tokensrv.services.lifecycle import explanation
from tokensrv.web.forms import Form
from tokensrv.web.rendering import page

bp = Blueprint("explain", __name__, url_prefix="/admin/explain")

# What few ask for stands behind a fold.
_SPECIFIC: Final = ("client_id", "sudo", "reason", "scope", "remote_ip")
_UNKNOWN: Final = "There is no such token."


@bp.get("")
def show() -> ResponseReturnValue:
    """Show the form, filled in with what the address says."""
    return _page(Form(request.args), None)


@bp.post("")
def explain() -> ResponseReturnValue:
    """Show the checks that the token passes, up to the one that it fails."""
    form = Form(request.form)
    return _page(form, _explained(form))


def _page(form: Form, found: Explanation | None) -> ResponseReturnValue:
    return page(
        "admin/explain.html",
        200 if form.is_good else 422,
        form=form,
        found=found,
        is_specific=any(form.text(name) for name in _SPECIFIC),
    )


def _explained(form: Form) -> Explanation | None:
    """Return the explanation; None when something is wrong with the form, which then says so."""
    token, client_id = _named(form), form.text("client_id")
    if token is None:
        return None
    try:
        if not is_storable(client_id):
            raise Invalid("client_id")
        return explanation.explain(
            context.store(),
            context.lookup(),
            context.caller(),
            token,
            _question(form),
            client_id=client_id or None,
        )
    except NotFound:
        form.refuse("id" if isinstance(token, int) else "token", _UNKNOWN)
    except Invalid:
        form.refuse("client_id", "There is no such client.")
    return None


def _named(form: Form) -> str | int | None:
    """Return the secret or the id of the token; exactly one is needed."""
    secret, token_id = form.text("token"), form.number("id")
    if secret and token_id is not None:
        form.refuse("id", "Give the token or its id, not both.")
    elif not secret and token_id is None and form.is_good:
        form.refuse("token", "Paste a token, or give its id.")
    return (secret or token_id) if form.is_good else None


def _question(form: Form) -> Question:
    named, reasons = ([text] if (text := form.text(name)) else [] for name in ("sudo", "reason"))
    return Question(
        ask=sudo.read(None, named, None, reasons),
        scopes=form.lines("scope"),
        remote_ip=networks.spelling(form.text("remote_ip")),
    )
