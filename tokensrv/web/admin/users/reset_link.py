"""Reset links: made for a user by an admin, and shown to him this once."""

from __future__ import annotations

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from tokensrv.http.context import origin, settings, store
from tokensrv.services.account import resets
from tokensrv.services.directory import users
from tokensrv.services.records import UserRecord
from tokensrv.web.admin.users.questions import ask
from tokensrv.web.rendering import page

bp = Blueprint("reset_link", __name__, url_prefix="/admin/users/<id:user_id>/reset_link")


@bp.get("")
def show(user_id: int) -> ResponseReturnValue:
    """Ask whether one is wanted."""
    return ask(
        users.get(store(), user_id),
        question="Make a reset link for {name}?",
        verb="Make reset link",
        consequence=(
            "Whoever has the link can set a new password for this user, once, within an hour."
            " You see it once and hand it over yourself.",
            "A link that was made before stops working. The password stays as it is until then.",
        ),
    )


@bp.post("")
def make(user_id: int) -> ResponseReturnValue:
    """Make it."""
    return show_once(users.get(store(), user_id))


def show_once(user: UserRecord, *, is_new: bool = False) -> Response:
    """Make a link for a user, perhaps a new one, and show it in this answer alone."""
    link = resets.make(store(), origin(), user.id)
    return page(
        "admin/users/reset_link.html",
        user=user,
        address=link.address(settings()),
        expires_at=link.expires_at,
        is_new=is_new,
    )
