"""One's own sessions, ended one by one or all others at once."""

from __future__ import annotations

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from tokensrv.http import context
from tokensrv.services.account import endings, sessions
from tokensrv.web.admission import current
from tokensrv.web.rendering import page
from tokensrv.web.settings.account import overview
from tokensrv.web.settings.account.browsers import in_words

bp = Blueprint("sessions", __name__, url_prefix="/-/user_settings/account/sessions")


@bp.get("/<id:session_id>/end")
def ask_end(session_id: int) -> ResponseReturnValue:
    """Ask whether to end a session."""
    mine = sessions.list_of(context.store(), current().user.id)
    record = next((record for record in mine if record.id == session_id), None)
    if record is None:
        raise NotFound
    return page(
        "confirm.html",
        layout="settings/layout.html",
        question="End this session?",
        facts=[("Browser", in_words(record.user_agent)), ("IP address", record.ip or "Unknown")],
        consequence=[
            "Whoever uses it must sign in again. If it is not yours, change your password."
        ],
        verb="End",
        is_bad=True,
        back=url_for("web.account.show"),
    )


@bp.post("/<id:session_id>/end")
def end(session_id: int) -> ResponseReturnValue:
    """End a session."""
    endings.end(context.store(), context.origin(), current(), session_id)
    return overview.back("The session has ended.")


@bp.get("/end_others")
def ask_end_others() -> ResponseReturnValue:
    """Ask whether to end all sessions but this one."""
    return page(
        "confirm.html",
        layout="settings/layout.html",
        question="End all other sessions?",
        consequence=["You stay signed in here, and must sign in again everywhere else."],
        verb="End all other sessions",
        is_bad=True,
        back=url_for("web.account.show"),
    )


@bp.post("/end_others")
def end_others() -> ResponseReturnValue:
    """End all sessions but this one."""
    endings.end_others(context.store(), context.origin(), current())
    return overview.back("All other sessions have ended.")
