"""Editing what a user is called, and what admins note about him."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.http.context import origin, store
from tokensrv.services import users
from tokensrv.services.records import UserRecord
from tokensrv.services.users import UserChanges
from tokensrv.web import cookies
from tokensrv.web.forms import REFUSALS, Form
from tokensrv.web.rendering import page

bp = Blueprint("user_edit", __name__, url_prefix="/admin/users/<id:user_id>/edit")

_TEMPLATE: Final = "admin/users/edit.html"


@bp.get("")
def show(user_id: int) -> ResponseReturnValue:
    """Show what he is called now; the address may hold what somebody was typing."""
    user = users.get(store(), user_id)
    return page(_TEMPLATE, user=user, form=Form(request.args, defaults=_values(user)))


@bp.post("")
def change(user_id: int) -> ResponseReturnValue:
    """Change it."""
    form = Form(request.form)
    try:
        user = users.change(store(), origin(), user_id, _changes(form))
    except REFUSALS as refused:
        form.refuse_by(refused)
        return page(_TEMPLATE, 422, user=users.get(store(), user_id), form=form)
    cookies.leave_notice(f"{user.username} was changed.")
    return redirect(url_for("web.user.show", user_id=user_id), 303)


def _values(user: UserRecord) -> dict[str, str]:
    return {
        "username": user.username,
        "name": user.name,
        "email": user.email,
        "note": user.note or "",
    }


def _changes(form: Form) -> UserChanges:
    return UserChanges(
        username=form.text("username"),
        name=form.text("name"),
        email=form.text("email"),
        profile={"note": form.text("note") or None},
    )
