"""Revoking many tokens at once: those that were ticked in the list, for one reason."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.clock import today
from tokensrv.http.context import origin, store
from tokensrv.services.lifecycle import bulk_revocation
from tokensrv.services.lifecycle.bulk_revocation import Ended
from tokensrv.services.reports import inventory
from tokensrv.services.reports.token_statistics import soon
from tokensrv.web import cookies
from tokensrv.web.forms import REFUSALS, Form
from tokensrv.web.rendering import page

bp = Blueprint("inventory_selection", __name__, url_prefix="/admin/tokens/revoke")


@bp.get("")
def show() -> ResponseReturnValue:
    """Show what was ticked, and ask for the reason."""
    form = Form(request.args)
    if not _ids(form):
        cookies.leave_notice("Nothing was selected: tick the tokens to revoke first.")
        return redirect(_list(form), 303)
    return _ask(form)


@bp.post("")
def revoke() -> ResponseReturnValue:
    """Revoke all of them or, if it is refused, none."""
    form = Form(request.form)
    try:
        ended = bulk_revocation.revoke_many(store(), origin(), _ids(form), form.text("reason"))
    except REFUSALS as refused:
        form.refuse_by(refused, {"tokens": ""})
        return _ask(form, 422)
    cookies.leave_notice(_said(ended))
    return redirect(_list(form), 303)


def _ask(form: Form, status: int = 200) -> Response:
    found = inventory.pick(store(), sorted(_ids(form))[: bulk_revocation.MAX_TOKENS])
    return page(
        "admin/tokens/revoke_selected.html",
        status,
        layout="admin/layout.html",
        question=f"Revoke {_tokens(len(found))}?",
        verb="Revoke selected",
        consequence=(
            "They stop working at once and for good, and with them what was exchanged for them."
            " Those that are dead already stay as they are.",
        ),
        back=_list(form),
        fields=[("id", entry.token.id) for entry in found] + [("back", form.text("back"))],
        entries=found,
        soon=soon(today(store().clock)),
        is_bad=True,
        asks_reason=True,
        form=form,
    )


def _ids(form: Form) -> set[int]:
    return {int(text) for text in form.all("id") if text.isdecimal() and len(text) <= 18}


def _list(form: Form) -> str:
    """Return the address of the list as it was, the filters of which the form carries."""
    query = urlencode(parse_qsl(form.text("back")))
    return url_for("web.inventory.show") + (f"?{query}" if query else "")


def _said(ended: Ended) -> str:
    dead = f" {_tokens(ended.dead)} had ended before." if ended.dead else ""
    return f"{_tokens(ended.revoked)} revoked.{dead}"


def _tokens(number: int) -> str:
    return f"{number} token{'' if number == 1 else 's'}"
