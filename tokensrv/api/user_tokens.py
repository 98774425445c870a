"""New personal access tokens: made by an admin for a user, or by a user for himself."""

from __future__ import annotations

from tokensrv.api.blueprint import Blueprint
from tokensrv.api.schemas.tokens import CreateToken, NewTokenObject
from tokensrv.http.context import origin, store
from tokensrv.services.lifecycle import minting
from tokensrv.services.lifecycle.minting import TokenWish
from tokensrv.services.records import NewToken

bp = Blueprint("user_tokens", __name__, url_prefix="/api/v4")


@bp.verb(
    "POST",
    "/users/<id:user_id>/personal_access_tokens",
    takes=CreateToken,
    gives=NewTokenObject,
    status=201,
    fails={404, 422},
)
def create_for_user(wish: TokenWish, user_id: int) -> NewToken:
    """Make a personal access token for a user. Admins only."""
    return minting.create_for_user(store(), origin(), user_id, wish)


@bp.verb(
    "POST",
    "/user/personal_access_tokens",
    takes=CreateToken,
    gives=NewTokenObject,
    status=201,
    fails={422},
)
def create_for_self(wish: TokenWish) -> NewToken:
    """Make a personal access token for oneself, with scopes that the calling token holds."""
    return minting.create_for_self(store(), origin(), wish)
