"""Personal access tokens: listed, shown, narrowed, rotated, revoked by id."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

from tokensrv.api.blueprint import Blueprint
from tokensrv.api.pagination import check_offset, headers, keyset_headers, read_cursor
from tokensrv.api.schemas.tokens import (
    ChangeToken,
    ListTokens,
    NewTokenObject,
    RotateToken,
    TokenListing,
    TokenObject,
)
from tokensrv.errors import Forbidden, NotFound
from tokensrv.http.answers import (
    ApiError,
    bad_request,
    invalid,
    not_found,
    sentence,
    unauthorized,
)
from tokensrv.http.context import caller, origin, store
from tokensrv.http.parse.ids import read_whole
from tokensrv.services.directory import users
from tokensrv.services.lifecycle import rotation, token_lists, tokens
from tokensrv.services.lifecycle.token_values import TokenChanges
from tokensrv.services.records import NewToken, TokenRecord

bp = Blueprint("tokens", __name__, url_prefix="/api/v4/personal_access_tokens")


@bp.verb("GET", "", takes=ListTokens, gives=TokenObject(many=True), fails={404, 405})
def list_tokens(wanted: TokenListing) -> Any:
    """List personal access tokens: one's own, or as an admin those of all users."""
    _check_owner(wanted.filter.user_id)
    if wanted.is_keyset:
        return _after(wanted)
    check_offset(wanted.page, "PersonalAccessToken", has_keyset=True)
    page = token_lists.list_tokens(
        store(), caller(), wanted.filter, sort=wanted.sort, page=wanted.page
    )
    return page.items, headers(page)


@bp.verb("GET", "/<token_id:token_id>", gives=TokenObject, fails={404})
def get_token(token_id: str) -> TokenRecord:
    """Show a personal access token."""
    with hidden():
        return tokens.get(store(), caller(), _id(token_id))


@bp.verb("PATCH", "/<token_id:token_id>", takes=ChangeToken, gives=TokenObject, fails={404, 422})
def change_token(changes: TokenChanges, token_id: str) -> TokenRecord:
    """Rename or narrow a personal access token."""
    with hidden():
        return tokens.change(store(), origin(), _id(token_id), changes)


@bp.verb("DELETE", "/<token_id:token_id>", status=204, fails={404})
def revoke_token(token_id: str) -> None:
    """Revoke a personal access token."""
    number = _id(token_id)
    try:
        tokens.revoke(store(), origin(), number)
    except NotFound:
        raise _not_revoked(number) from None
    except Forbidden:
        raise bad_request("Not permitted to revoke") from None


@bp.verb(
    "POST", "/<token_id:token_id>/rotate", takes=RotateToken, gives=NewTokenObject, fails={404, 422}
)
def rotate_token(expires_on: date | None, token_id: str) -> NewToken:
    """Revoke a personal access token and make its successor."""
    with hidden():
        return rotation.rotate(store(), origin(), _id(token_id), expires_on=expires_on)


def _after(wanted: TokenListing) -> tuple[Any, dict[str, str]]:
    order = token_lists.order(wanted.filter, wanted.sort)
    if not order.has_keys:
        raise invalid("sort does not have a valid value")
    found, following = token_lists.list_tokens_after(
        store(),
        caller(),
        wanted.filter,
        sort=wanted.sort,
        after=read_cursor(wanted.cursor, order.name),
        limit=wanted.page.per_page,
    )
    return found, keyset_headers(following, wanted.page.per_page)


def _id(text: str) -> int:
    number = read_whole(text)
    if number is None:
        raise invalid("id is invalid")
    return number


def _check_owner(user_id: int | None) -> None:
    """Raise ApiError for a user whose tokens the caller may not list, or who does not exist."""
    subject = caller().subject
    if user_id is None or user_id == subject.id:
        return
    if not subject.is_admin:
        raise unauthorized()
    if users.find(store(), str(user_id)) is None:
        raise not_found()


@contextmanager
def hidden() -> Iterator[None]:
    """Answer for a token that does not exist for the caller: only admins learn that it is so."""
    try:
        yield
    except NotFound:
        raise not_found() if caller().subject.is_admin else unauthorized() from None


def _not_revoked(token_id: int) -> ApiError:
    """Return what GitLab answers for a foreign token, and for none at all."""
    try:
        tokens.get(store(), None, token_id)
    except NotFound:
        return sentence(404, "404 Not found")
    return bad_request("Not permitted to revoke")
