"""Acted as me: who did something as this user, and who still can."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.errors import NotFound
from tokensrv.http import context
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import EventRecord
from tokensrv.services.reports import acted
from tokensrv.web import cookies
from tokensrv.web.forms import Form
from tokensrv.web.rendering import page

bp = Blueprint("acted", __name__, url_prefix="/-/user_settings/acted_as_me")

_PER_PAGE: Final = 20
# More of them at a time would be a fault that no list of them mends.
_LENT: Final = 200


@bp.get("")
def show() -> ResponseReturnValue:
    """List both, the latest first."""
    store, user_id = context.store(), context.caller().subject.id
    before = Form(request.args).number("before")
    found, older = acted.acts(store, user_id, before=before, limit=_PER_PAGE)
    return page(
        "settings/acted.html",
        acts=[(event, words(event)) for event in found],
        before=before,
        older=older,
        lent=acted.lent(store, user_id, limit=_LENT),
    )


@bp.get("/<id:token_id>/revoke")
def ask_revocation(token_id: int) -> ResponseReturnValue:
    """Ask whether to end a token with which somebody acts as this user."""
    token = _lent(token_id)
    return page(
        "confirm.html",
        layout="settings/layout.html",
        question="Revoke this token?",
        verb="Revoke",
        is_bad=True,
        facts=[
            ("Acts as you", token.actor),
            ("Through", token.client_id),
            ("Scopes", ", ".join(token.scopes)),
        ],
        consequence=["It is refused from that moment on. Another one can be asked for."],
        back=url_for("web.acted.show"),
    )


@bp.post("/<id:token_id>/revoke")
def revoke(token_id: int) -> ResponseReturnValue:
    """End it."""
    tokens.revoke(context.store(), context.origin(), _lent(token_id).id)
    cookies.leave_notice("The token is revoked.")
    return redirect(url_for("web.acted.show"), 303)


def words(event: EventRecord) -> str:
    """Return what somebody did, for the one as whom he did it."""
    data = event.data
    if event.action == "sudo.counted":
        return f"The same again, {data.get('count')} times within this minute"
    if event.action in {"sudo.used", "sudo.refused"}:
        tried = "Acted as you" if event.action == "sudo.used" else "Was refused to act as you"
        return f"{tried}: {data.get('method')} {data.get('path')}"
    return _WORDS.get(event.action) or event.action.replace(".", " ").replace("_", " ").capitalize()


_WORDS: Final = {
    "impersonation.started": "Began to act as you in the browser",
    "impersonation.stopped": "Stopped acting as you in the browser",
    "token.exchanged": "Got a token that acts as you",
    "token.revoked": "Revoked a token of yours",
    "feed.revoked": "Revoked your calendar link",
}


def _lent(token_id: int) -> acted.LentToken:
    """Return a token of this page's list; raises NotFound for any other."""
    for token in acted.lent(context.store(), context.caller().subject.id, limit=_LENT):
        if token.id == token_id:
            return token
    raise NotFound("Token")
