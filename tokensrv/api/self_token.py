"""The presented token itself: shown, rotated, revoked by whoever has it."""

from __future__ import annotations

from datetime import date
from typing import Any

from marshmallow import fields

from tokensrv.api.blueprint import Blueprint
from tokensrv.api.pagination import headers
from tokensrv.api.schemas.base import Wire
from tokensrv.api.schemas.tokens import (
    ListAssociations,
    NewTokenObject,
    RotateToken,
    TokenObject,
)
from tokensrv.errors import Forbidden
from tokensrv.http.answers import bad_request
from tokensrv.http.context import caller, origin, store
from tokensrv.services.lifecycle import rotation, tokens
from tokensrv.services.pages import Page, PageRequest
from tokensrv.services.records import NewToken, TokenRecord

bp = Blueprint("self_token", __name__, url_prefix="/api/v4/personal_access_tokens/self")


class Associations(Wire):
    """The groups and projects that a token reaches."""

    groups = fields.List(fields.Dict())
    projects = fields.List(fields.Dict())


@bp.verb("GET", "", gives=TokenObject)
def show() -> TokenRecord:
    """Show the presented token."""
    return tokens.get_own(store(), caller())


@bp.verb("GET", "/associations", takes=ListAssociations, gives=Associations)
def associations(page: PageRequest) -> Any:
    """List groups and projects, of which there are none here."""
    empty: Page[Any] = Page((), page.page, page.per_page, has_next=False, total=0)
    return {"groups": [], "projects": []}, headers(empty)


@bp.verb("DELETE", "", status=204)
def revoke() -> None:
    """Revoke the presented token."""
    try:
        tokens.revoke(store(), origin(), tokens.get_own(store(), caller()).id)
    except Forbidden:
        raise bad_request("Not permitted to revoke") from None


@bp.verb("POST", "/rotate", takes=RotateToken, gives=NewTokenObject, fails={422})
def rotate(expires_on: date | None) -> NewToken:
    """Revoke the presented token and make its successor."""
    own = tokens.get_own(store(), caller())
    return rotation.rotate(store(), origin(), own.id, expires_on=expires_on)
