"""A token: all that is known of it, whatever its kind and its owner."""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue

from tokensrv.clock import today
from tokensrv.http.context import caller, store
from tokensrv.services.directory.user_lists import users_by_id
from tokensrv.services.lifecycle import tokens
from tokensrv.services.reports import rotations
from tokensrv.services.reports.token_statistics import soon
from tokensrv.web.rendering import page

bp = Blueprint("inventory_token", __name__, url_prefix="/admin/tokens/<id:token_id>")


@bp.get("")
def show(token_id: int) -> ResponseReturnValue:
    """Show it with the tokens that it came from by rotation, and those that came from it."""
    token = tokens.get(store(), caller(), token_id)
    people = users_by_id(store(), {token.user_id, token.actor_id or token.user_id})
    return page(
        "admin/tokens/token.html",
        token=token,
        owner=people.get(token.user_id),
        actor=people.get(token.actor_id or 0),
        chain=rotations.chain_of(store(), token_id),
        soon=soon(today(store().clock)),
    )
