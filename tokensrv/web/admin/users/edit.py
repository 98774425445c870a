"""Editing what a user is called, and what admins note about him.

A form brings along what it was filled in with, so that only what somebody has changed in it is
changed, whatever else happened to the user meanwhile.
"""

from __future__ import annotations

from typing import Final

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.http.context import origin, store
from tokensrv.services.directory import users
from tokensrv.services.directory.users import UserChanges
from tokensrv.services.records import UserRecord
from tokensrv.web import cookies
from tokensrv.web.forms import REFUSALS, Form
from tokensrv.web.rendering import page

bp = Blueprint("user_edit", __name__, url_prefix="/admin/users/<id:user_id>/edit")

_TEMPLATE: Final = "admin/users/edit.html"
# Before the name of a field: what it was filled in with.
_WAS: Final = "was_"


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
    values = {
        "username": user.username,
        "name": user.name,
        "email": user.email,
        "note": user.note or "",
    }
    return values | {f"{_WAS}{name}": value for name, value in values.items()}


def _changes(form: Form) -> UserChanges:
    note = _changed(form, "note")
    return UserChanges(
        username=_changed(form, "username"),
        name=_changed(form, "name"),
        email=_changed(form, "email"),
        profile={} if note is None else {"note": note or None},
    )


def _changed(form: Form, name: str) -> str | None:
    """Return what stands in a field, None when it is what stood there before."""
    value = form.text(name)
    return None if form.has(_WAS + name) and value == form.text(_WAS + name) else value
