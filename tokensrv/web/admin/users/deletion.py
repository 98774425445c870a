"""Deleting a user: for good, so the username must be typed."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.domain.usernames import key
from tokensrv.http.context import origin, store
from tokensrv.services.directory import users
from tokensrv.services.records import UserRecord
from tokensrv.web import cookies
from tokensrv.web.admin.users.questions import ask
from tokensrv.web.forms import Form

bp = Blueprint("user_deletion", __name__, url_prefix="/admin/users/<id:user_id>/delete")


@bp.get("")
def show(user_id: int) -> ResponseReturnValue:
    """Ask whether it is wanted."""
    return _ask(users.get(store(), user_id), Form(request.args))


@bp.post("")
def delete(user_id: int) -> ResponseReturnValue:
    """Delete the user whose name was typed."""
    user, form = users.get(store(), user_id), Form(request.form)
    if key(form.text("username")) != key(user.username):
        form.refuse("username", "This is not the username.")
        return _ask(user, form, 422)
    users.delete(store(), origin(), user_id)
    cookies.leave_notice(f"{user.username} was deleted.")
    return redirect(url_for("web.users.show"), 303)


def _ask(user: UserRecord, form: Form, status: int = 200) -> Response:
    return ask(
        user,
        status,
        template="admin/users/delete.html",
        question="Delete {name} for good?",
        verb="Delete",
        consequence=(
            "All tokens, SSH keys, sessions and second factors of this user are deleted at once. It"
            " cannot be undone. The event log keeps what happened.",
        ),
        is_bad=True,
        form=form,
        username=user.username,
    )
