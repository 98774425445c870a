"""SSH keys of a user, as an administrator sees and removes them."""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.http.context import origin, store
from tokensrv.services.directory import users
from tokensrv.services.keys import ssh_keys
from tokensrv.web import cookies
from tokensrv.web.admin.users.questions import ask
from tokensrv.web.forms import Form
from tokensrv.web.paging import page_request
from tokensrv.web.rendering import page

bp = Blueprint("user_ssh_keys", __name__, url_prefix="/admin/users/<id:user_id>/ssh_keys")


@bp.get("")
def show(user_id: int) -> ResponseReturnValue:
    """List them, the oldest first."""
    user, at = users.get(store(), user_id), page_request(Form(request.args))
    return page(
        "admin/users/ssh_keys.html", user=user, found=ssh_keys.list_keys(store(), user.id, at)
    )


@bp.get("/<id:key_id>/remove")
def ask_remove(user_id: int, key_id: int) -> ResponseReturnValue:
    """Ask whether to remove a key."""
    user, key = users.get(store(), user_id), ssh_keys.get(store(), user_id, key_id)
    return ask(
        user,
        question="Remove this SSH key of {name}?",
        verb="Remove",
        more_facts=(("Key", key.title), ("Fingerprint", key.fingerprint)),
        consequence=("Whatever uses it is refused from that moment on.",),
        is_bad=True,
        back=url_for(".show", user_id=user.id),
    )


@bp.post("/<id:key_id>/remove")
def remove(user_id: int, key_id: int) -> ResponseReturnValue:
    """Remove it."""
    ssh_keys.remove(store(), origin(), user_id, key_id)
    cookies.leave_notice("The key is removed.")
    return redirect(url_for(".show", user_id=user_id), 303)
