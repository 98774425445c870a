"""Impersonation tokens: made by admins for a user, who does not see them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from flask import request

from tokensrv.api.blueprint import Blueprint
from tokensrv.api.pagination import check_offset, headers
from tokensrv.api.schemas.tokens import (
    CreateImpersonationToken,
    ListImpersonationTokens,
    NewTokenObject,
    TokenListing,
    TokenObject,
)
from tokensrv.domain.facts import TokenKind
from tokensrv.domain.scopes import available
from tokensrv.errors import Forbidden, Invalid, InvalidRecord, NotFound
from tokensrv.http.answers import bad_request
from tokensrv.http.context import caller, origin, settings, store
from tokensrv.services.directory import users
from tokensrv.services.lifecycle import minting, token_lists, tokens
from tokensrv.services.lifecycle.minting import TokenWish
from tokensrv.services.records import NewToken, TokenRecord

bp = Blueprint(
    "impersonation_tokens",
    __name__,
    url_prefix="/api/v4/users/<id:user_id>/impersonation_tokens",
)

# What is wrong with the record itself; everything else is a parameter that makes no sense.
_OF_THE_RECORD: Final = frozenset({"name", "description"})


@bp.verb("GET", "", takes=ListImpersonationTokens, gives=TokenObject(many=True), fails={404, 405})
def list_tokens(wanted: TokenListing, user_id: int) -> Any:
    """List a user's impersonation tokens. Admins only."""
    owner = users.get(store(), user_id)
    check_offset(wanted.page, "PersonalAccessToken")
    mine = replace(wanted.filter, user_id=owner.id)
    page = token_lists.list_tokens(store(), caller(), mine, page=wanted.page)
    return page.items, headers(page)


@bp.verb(
    "POST",
    "",
    takes=CreateImpersonationToken,
    gives=NewTokenObject,
    status=201,
    fails={404, 422},
)
def create(wish: TokenWish, user_id: int) -> NewToken:
    """Make an impersonation token for a user. Admins only."""
    owner = users.get(store(), user_id)
    _check_scopes(wish.scopes)
    try:
        return minting.create_for_user(store(), origin(), owner.id, wish)
    except Invalid as problem:
        if problem.field in _OF_THE_RECORD:
            raise InvalidRecord(problem.field, problem.problem) from None
        raise


@bp.verb("GET", "/<id:token_id>", gives=TokenObject, fails={404})
def get(user_id: int, token_id: int) -> TokenRecord:
    """Show an impersonation token. Admins only."""
    return _get(user_id, token_id)


@bp.verb("DELETE", "/<id:token_id>", status=204, fails={404, 412})
def revoke(user_id: int, token_id: int) -> None:
    """Revoke an impersonation token. Admins only."""
    token = _get(user_id, token_id)
    since = request.if_unmodified_since
    try:
        tokens.revoke(store(), origin(), token.id, unmodified_since=since)
    except Forbidden:
        raise bad_request("Not permitted to revoke") from None


def _get(user_id: int, token_id: int) -> TokenRecord:
    """Return one of a user's impersonation tokens; raises NotFound for him or for it."""
    owner = users.get(store(), user_id)
    try:
        token = tokens.get(store(), caller(), token_id)
    except NotFound:
        raise NotFound("Impersonation Token") from None
    if token.user_id != owner.id or token.kind != TokenKind.IMPERSONATION:
        raise NotFound("Impersonation Token")
    return token


def _check_scopes(scopes: tuple[str, ...]) -> None:
    if not scopes:
        raise InvalidRecord("scopes", "can't be blank")
    if not set(scopes) <= set(available(settings().extra_scopes)):
        raise InvalidRecord("scopes", "can only contain available scopes")
