"""Lists of tokens: which ones a caller may see, filtered, sorted and cut into pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Text, and_, literal, not_, select, true, type_coerce

from tokensrv.clock import midnight, utcnow
from tokensrv.db import Store
from tokensrv.domain.caller import Caller
from tokensrv.domain.facts import TokenKind
from tokensrv.models import Token
from tokensrv.services.pages import Key, Order, Page, PageRequest, fetch, fetch_after
from tokensrv.services.records import TokenRecord, token_record

SORTS: dict[str, Any] = {
    "created": Token.created_at,
    "expires": Token.expires_at,
    "last_used": Token.last_used_at,
    "name": Token.name,
}
SOONEST: Final = "expires_soonest"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFilter:
    """Which tokens to list; None: that filter is off.

    The moments of creation and last use are inclusive on both sides; ``expires_before`` is
    strict, ``expires_after`` inclusive. A token that was never used matches no last use.
    """

    user_id: int | None = None
    kind: TokenKind | None = None
    is_revoked: bool | None = None
    is_active: bool | None = None
    created_before: datetime | None = None
    created_after: datetime | None = None
    last_used_before: datetime | None = None
    last_used_after: datetime | None = None
    expires_before: date | None = None
    expires_after: date | None = None
    search: str = ""
    # The whole name, letter by letter.
    name: str | None = None
    # One of those that were granted, not one that they contain.
    scope: str | None = None
    is_used: bool | None = None
    # Whether its day has come, revoked or not.
    is_expired: bool | None = None


def list_tokens(
    store: Store,
    caller: Caller | None,
    wanted: TokenFilter,
    *,
    sort: str | None = None,
    page: PageRequest | None = None,
) -> Page[TokenRecord]:
    """Return one page of the tokens that this caller may see, as ``order`` says."""
    now = utcnow(store.clock)
    with store.read() as session:
        return fetch(
            session,
            _query(caller, wanted, now),
            order(wanted, sort),
            page or PageRequest(),
            lambda row: token_record(row, now),
        )


def list_tokens_after(
    store: Store,
    caller: Caller | None,
    wanted: TokenFilter,
    *,
    sort: str | None = None,
    after: Key | None = None,
    limit: int,
) -> tuple[tuple[TokenRecord, ...], Key | None]:
    """Return up to ``limit`` tokens after a key, and the key of the next ones if there are any."""
    now = utcnow(store.clock)
    with store.read() as session:
        return fetch_after(
            session,
            _query(caller, wanted, now),
            order(wanted, sort),
            after,
            limit,
            lambda row: token_record(row, now),
        )


def order(wanted: TokenFilter, sort: str | None) -> Order:
    """Return how to list these tokens: ``sort`` is one of ``SORTS`` with ``_asc`` or ``_desc``.

    ``expires_soonest`` is as ``expires_asc``, but those that never expire come last. Anything
    else is by id.
    """
    if sort == SOONEST:
        return Order(Token.id, Token.expires_at, has_nulls_last=True)
    name, _, direction = (sort or "").rpartition("_")
    if name in SORTS and direction in {"asc", "desc"}:
        return Order(Token.id, SORTS[name], is_descending=direction == "desc")
    if wanted.created_before is None and wanted.created_after is None:
        return Order(Token.id)
    # Ids are given in the order of creation. To find the first one of a time that way would mean
    # to read all before it.
    return Order(Token.id, Token.created_at)


def _query(caller: Caller | None, wanted: TokenFilter, now: datetime) -> Select[Any]:
    return select(Token).where(*_visible(caller), *conditions(wanted, now))


def _visible(caller: Caller | None) -> list[ColumnElement[bool]]:
    if caller is None or caller.subject.is_admin:
        return []
    return [Token.user_id == caller.subject.id, Token.kind == TokenKind.PERSONAL.value]


def conditions(
    wanted: TokenFilter, now: datetime, token: type[Token] = Token
) -> Iterator[ColumnElement[bool]]:
    """Yield what must hold for a token, or for an alias of one, to be wanted."""
    if wanted.user_id is not None:
        yield token.user_id == wanted.user_id
    if wanted.kind is not None:
        yield token.kind == wanted.kind.value
    yield from _states(wanted, now, token)
    yield from _texts(wanted, token)
    yield from _dates(wanted, token)


def _states(
    wanted: TokenFilter, now: datetime, token: type[Token]
) -> Iterator[ColumnElement[bool]]:
    if wanted.is_revoked is not None:
        yield _is(token.revoked_at.is_not(None), wanted.is_revoked)
    if wanted.is_active is not None:
        lives = _lives(wanted, now, token)
        yield _is(and_(token.revoked_at.is_(None), lives), wanted.is_active)
    if wanted.is_used is not None:
        yield _is(token.last_used_at.is_not(None), wanted.is_used)
    if wanted.is_expired is not None:
        is_over = token.expires_at <= now
        yield is_over if wanted.is_expired else is_over.is_not(true())


def _texts(wanted: TokenFilter, token: type[Token]) -> Iterator[ColumnElement[bool]]:
    if wanted.name is not None:
        yield token.name == wanted.name
    if wanted.search:
        yield token.name.icontains(wanted.search, autoescape=True)
    if wanted.scope is not None:
        words = literal(" ") + type_coerce(token.scopes, Text) + " "
        yield words.contains(f" {wanted.scope} ", autoescape=True)


def _lives(wanted: TokenFilter, now: datetime, token: type[Token]) -> ColumnElement[bool]:
    if wanted.expires_before is not None or wanted.expires_after is not None:
        # None without an expiry is wanted, and the others are one stretch of the index.
        return token.expires_at > now
    # Most tokens live. Said with "or", SQLite would look all of them up in an index and sort.
    return (token.expires_at <= now).is_not(true())


def _dates(wanted: TokenFilter, token: type[Token]) -> Iterator[ColumnElement[bool]]:
    if wanted.created_before is not None:
        yield token.created_at <= wanted.created_before
    if wanted.created_after is not None:
        yield token.created_at >= wanted.created_after
    if wanted.last_used_before is not None:
        yield token.last_used_at <= wanted.last_used_before
    if wanted.last_used_after is not None:
        yield token.last_used_at >= wanted.last_used_after
    if wanted.expires_before is not None:
        yield token.expires_at < midnight(wanted.expires_before)
    if wanted.expires_after is not None:
        yield token.expires_at >= midnight(wanted.expires_after)


def _is(condition: ColumnElement[bool], wanted: object) -> ColumnElement[bool]:
    return condition if wanted else not_(condition)
