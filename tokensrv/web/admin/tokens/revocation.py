"""Revoking one token of somebody's."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.http.context import caller, origin, store
from tokensrv.services.directory.user_lists import users_by_id
from tokensrv.services.lifecycle import bulk_revocation, tokens
from tokensrv.web import cookies
from tokensrv.web.forms import REFUSALS, Form
from tokensrv.web.rendering import page

bp = Blueprint("inventory_revocation", __name__, url_prefix="/admin/tokens/<id:token_id>/revoke")


@bp.get("")
def show(token_id: int) -> ResponseReturnValue:
    """Ask whether it is wanted, and why."""
    return _ask(token_id, Form(request.args))


@bp.post("")
def revoke(token_id: int) -> ResponseReturnValue:
    """Revoke it; one that has ended stays as it is."""
    form, token = Form(request.form), tokens.get(store(), caller(), token_id)
    try:
        ended = bulk_revocation.revoke_many(store(), origin(), {token.id}, form.text("reason"))
    except REFUSALS as refused:
        form.refuse_by(refused)
        return _ask(token_id, form, 422)
    # Not by its name, which may be anything: this is kept in a cookie.
    done = "is revoked" if ended.revoked else "had ended before"
    cookies.leave_notice(f"The token {done}.")
    return redirect(url_for("web.inventory_token.show", token_id=token_id), 303)


def _ask(token_id: int, form: Form, status: int = 200) -> Response:
    token = tokens.get(store(), caller(), token_id)
    owner = users_by_id(store(), {token.user_id}).get(token.user_id)
    return page(
        "confirm.html",
        status,
        layout="admin/layout.html",
        question="Revoke this token?",
        verb="Revoke",
        facts=(
            ("Token", token.name),
            ("Id", token.id),
            ("Owner", owner.username if owner else ""),
            ("Scopes", " ".join(token.scopes)),
        ),
        consequence=(
            "It stops working at once and for good, and with it what was exchanged for it.",
        ),
        back=url_for("web.inventory_token.show", token_id=token_id),
        is_bad=True,
        asks_reason=True,
        form=form,
    )
