"""Rotating and revoking a token of one's own, each behind a question."""

from __future__ import annotations

from datetime import date, timedelta

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.clock import today
from tokensrv.domain.facts import TokenKind
from tokensrv.errors import NotFound
from tokensrv.http import context
from tokensrv.services.lifecycle import rotation, tokens
from tokensrv.services.lifecycle.minting import last_day
from tokensrv.services.records import TokenRecord
from tokensrv.web import cookies
from tokensrv.web.forms import REFUSALS, Form
from tokensrv.web.rendering import exact, page
from tokensrv.web.tokens.reveal import reveal

bp = Blueprint("token_changes", __name__, url_prefix="/-/user_settings/personal_access_tokens")


@bp.get("/<id:token_id>/rotate")
def ask_rotation(token_id: int) -> ResponseReturnValue:
    """Ask whether to rotate a token, and until when the new one is to live."""
    token = _own(token_id)
    day = _suggested(token)
    defaults = {} if day is None else {"expires_at": day.isoformat()}
    return _ask_rotation(token, Form(request.args, defaults=defaults), 200)


@bp.post("/<id:token_id>/rotate")
def rotate(token_id: int) -> ResponseReturnValue:
    """Rotate it and show the secret of its successor, once."""
    token, form = _own(token_id), Form(request.form)
    day = form.day("expires_at")
    if not form.is_good:
        return _ask_rotation(token, form, 422)
    try:
        new = rotation.rotate(context.store(), context.origin(), token.id, expires_on=day)
    except REFUSALS as problem:
        form.refuse_by(problem)
        return _ask_rotation(token, form, 422)
    return reveal(
        new,
        context.caller().subject.username,
        template="settings/new_secret.html",
        back=url_for("web.tokens.show"),
        is_rotated=True,
    )


@bp.get("/<id:token_id>/revoke")
def ask_revocation(token_id: int) -> ResponseReturnValue:
    """Ask whether to revoke a token."""
    token = _own(token_id)
    return page(
        "confirm.html",
        layout="settings/layout.html",
        question="Revoke this token?",
        verb="Revoke",
        is_bad=True,
        facts=_facts(token),
        consequence=[
            "Whatever uses it is refused from that moment on. This cannot be undone.",
        ],
        back=url_for("web.tokens.show"),
    )


@bp.post("/<id:token_id>/revoke")
def revoke(token_id: int) -> ResponseReturnValue:
    """Revoke it; once more it changes nothing."""
    tokens.revoke(context.store(), context.origin(), _own(token_id).id)
    cookies.leave_notice("The token is revoked.")
    return redirect(url_for("web.tokens.show"), 303)


def _own(token_id: int) -> TokenRecord:
    """Return a token of this page's list; raises NotFound for any other, an admin's view too."""
    caller = context.caller()
    token = tokens.get(context.store(), caller, token_id)
    if token.user_id != caller.subject.id or token.kind != TokenKind.PERSONAL:
        raise NotFound("Token")
    return token


def _suggested(token: TokenRecord) -> date | None:
    """Return the day on which the successor ends if it lives as long as the token was to."""
    if token.expires_on is None:
        return None
    day = today(context.store().clock)
    lifetime = max(token.expires_on - token.created_at.date(), timedelta(days=1))
    return min(day + lifetime, last_day(context.store()))


def _facts(token: TokenRecord) -> list[tuple[str, str]]:
    return [
        ("Name", token.name),
        ("Scopes", ", ".join(token.scopes)),
        ("Expires", "Never" if token.expires_at is None else exact(token.expires_at)),
        ("Last used", "Never" if token.last_used_at is None else exact(token.last_used_at)),
    ]


def _ask_rotation(token: TokenRecord, form: Form, status: int) -> Response:
    return page(
        "settings/rotate_token.html",
        status,
        layout="settings/layout.html",
        question="Rotate this token?",
        verb="Rotate",
        facts=_facts(token),
        consequence=[
            "You get a new secret with the same name and scopes. The old one is dead at once:"
            " whatever uses it needs the new one.",
        ],
        back=url_for("web.tokens.show"),
        form=form,
        needs_day=token.expires_on is not None or context.settings().require_expiry,
        first_day=today(context.store().clock) + timedelta(days=1),
        last_day=last_day(context.store()),
    )
