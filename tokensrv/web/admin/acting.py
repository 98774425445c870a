"""Acting as somebody else: an admin begins it with a reason, and ends it from whatever page."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.errors import Invalid
from tokensrv.http.context import origin, store
from tokensrv.services.account import impersonation
from tokensrv.services.directory import users
from tokensrv.services.records import UserRecord
from tokensrv.web import cookies
from tokensrv.web.admin.users.questions import ask
from tokensrv.web.admission import current
from tokensrv.web.forms import Form

bp = Blueprint("acting", __name__, url_prefix="/admin")


@bp.get("/users/<id:user_id>/impersonate")
def show(user_id: int) -> ResponseReturnValue:
    """Ask why."""
    return _ask(users.get(store(), user_id), Form(request.args))


@bp.post("/users/<id:user_id>/impersonate")
def start(user_id: int) -> ResponseReturnValue:
    """Begin it, and show the user's own pages."""
    user, form = users.get(store(), user_id), Form(request.form)
    try:
        new = impersonation.start(store(), origin(), current(), user.id, form.text("reason"))
    except Invalid as refused:
        form.refuse_by(refused)
        return _ask(user, form, 422)
    cookies.keep_session(new)
    cookies.leave_notice(f"You are now impersonating {user.username}.")
    return redirect(url_for("web.home.show"), 303)


@bp.post("/impersonation/stop")
def stop() -> ResponseReturnValue:
    """End it, and lead an admin back to where he began."""
    session = current()
    cookies.keep_session(impersonation.stop(store(), origin(), session))
    cookies.leave_notice(f"You are no longer impersonating {session.subject.username}.")
    if not session.user.is_admin:
        return redirect(url_for("web.home.show"), 303)
    return redirect(url_for("web.user.show", user_id=session.subject.id), 303)


def _ask(user: UserRecord, form: Form, status: int = 200) -> Response:
    return ask(
        user,
        status,
        question="Impersonate {name}?",
        verb="Impersonate",
        consequence=(
            "You see and use the pages of this user as they do, for an hour at most. Everything is"
            " recorded with both names, and the user can see who it was, when and why.",
            "Nothing can be created that would outlast it: no tokens, no passwords, no keys.",
        ),
        form=form,
        asks_reason=True,
    )
