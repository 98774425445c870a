"""Tokens by their secret: what an admin does with one that he has found somewhere."""

from __future__ import annotations

from tokensrv.api.blueprint import Blueprint
from tokensrv.api.schemas.tokens import IdentifyToken, TokenRow
from tokensrv.domain.secret import token_digest
from tokensrv.errors import Forbidden
from tokensrv.http.answers import bad_request, message, not_found
from tokensrv.http.context import origin, store
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import TokenRecord

bp = Blueprint("admin_token", __name__, url_prefix="/api/v4/admin/token")


@bp.verb("POST", "", takes=IdentifyToken, gives=TokenRow, fails={404, 422})
def identify(secret: str) -> TokenRecord:
    """Show the token with this secret. Admins only."""
    return _find(secret)


@bp.verb("DELETE", "", takes=IdentifyToken, status=204, fails={404, 422})
def revoke(secret: str) -> None:
    """Revoke the token with this secret. Admins only."""
    try:
        tokens.revoke(store(), origin(), _find(secret).id)
    except Forbidden:
        raise bad_request("Not permitted to revoke") from None


def _find(secret: str) -> TokenRecord:
    """Return the token; raises ApiError: 422 for what cannot be one, 404 for an unknown one."""
    if token_digest(secret) is None:
        raise message(422)
    token = tokens.find_by_secret(store(), secret)
    if token is None:
        raise not_found()
    return token
