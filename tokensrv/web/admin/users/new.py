"""A new user, who chooses his password himself with a link that the admin hands over."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.http.context import origin, store
from tokensrv.services.directory import users
from tokensrv.services.directory.users import NewUser
from tokensrv.web import cookies
from tokensrv.web.admin.users.reset_link import show_once
from tokensrv.web.forms import REFUSALS, Form
from tokensrv.web.rendering import page

bp = Blueprint("new_user", __name__, url_prefix="/admin/users/new")

_TEMPLATE: Final = "admin/users/new.html"
_DEFAULTS: Final = {"role": "user", "first_sign_in": "link"}


@bp.get("")
def show() -> ResponseReturnValue:
    """Ask who it is; the address may fill the form in."""
    return page(_TEMPLATE, form=Form(request.args, defaults=_DEFAULTS))


@bp.post("")
def create() -> ResponseReturnValue:
    """Make the user. Sent twice it makes one, since nobody else may have his name."""
    form = Form(request.form, defaults=_DEFAULTS)
    try:
        user = users.create(store(), origin(), _wanted(form))
    except REFUSALS as refused:
        form.refuse_by(refused)
        return page(_TEMPLATE, 422, form=form)
    if form.text("first_sign_in") == "link":
        return show_once(user, is_new=True)
    cookies.leave_notice(f"{user.username} was created.")
    return redirect(url_for("web.user.show", user_id=user.id), 303)


def _wanted(form: Form) -> NewUser:
    username = form.text("username")
    return NewUser(
        username=username,
        email=form.text("email"),
        name=form.text("name") or username,
        is_admin=form.text("role") == "admin",
        profile={"note": form.text("note") or None},
    )
