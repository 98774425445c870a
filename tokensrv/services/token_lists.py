"""Lists of tokens: which ones a caller may see, filtered, sorted and cut into pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, not_, or_, select

from tokensrv.clock import midnight, utcnow
from tokensrv.db import Store
from tokensrv.domain.caller import Caller
from tokensrv.domain.facts import TokenKind
from tokensrv.models import Token
from tokensrv.services.pages import Page, PageRequest, fetch
from tokensrv.services.records import TokenRecord, token_record

SORTS: dict[str, Any] = {
    "created": Token.created_at,
    "expires": Token.expires_at,
    "last_used": Token.last_used_at,
    "name": Token.name,
}


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


def list_tokens(
    store: Store,
    caller: Caller | None,
    wanted: TokenFilter,
    *,
    sort: str | None = None,
    page: PageRequest | None = None,
) -> Page[TokenRecord]:
    """Return one page of the tokens that this caller may see.

    ``sort`` is one of ``SORTS`` with ``_asc`` or ``_desc``; anything else is by id.
    """
    now = utcnow(store.clock)
    query = select(Token).where(*_visible(caller), *_conditions(wanted, now))
    with store.read() as session:
        return fetch(
            session,
            _sorted(query, sort),
            page or PageRequest(),
            lambda row: token_record(row, now),
        )


def _visible(caller: Caller | None) -> list[ColumnElement[bool]]:
    if caller is None or caller.subject.is_admin:
        return []
    return [Token.user_id == caller.subject.id, Token.kind == TokenKind.PERSONAL.value]


def _conditions(wanted: TokenFilter, now: datetime) -> Iterator[ColumnElement[bool]]:
    if wanted.user_id is not None:
        yield Token.user_id == wanted.user_id
    if wanted.kind is not None:
        yield Token.kind == wanted.kind.value
    if wanted.is_revoked is not None:
        yield _is(Token.revoked_at.is_not(None), wanted.is_revoked)
    if wanted.is_active is not None:
        lives = or_(Token.expires_at.is_(None), Token.expires_at > now)
        yield _is(and_(Token.revoked_at.is_(None), lives), wanted.is_active)
    if wanted.search:
        yield Token.name.icontains(wanted.search, autoescape=True)
    yield from _dates(wanted)


def _dates(wanted: TokenFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.created_before is not None:
        yield Token.created_at <= wanted.created_before
    if wanted.created_after is not None:
        yield Token.created_at >= wanted.created_after
    if wanted.last_used_before is not None:
        yield Token.last_used_at <= wanted.last_used_before
    if wanted.last_used_after is not None:
        yield Token.last_used_at >= wanted.last_used_after
    if wanted.expires_before is not None:
        yield Token.expires_at < midnight(wanted.expires_before)
    if wanted.expires_after is not None:
        yield Token.expires_at >= midnight(wanted.expires_after)


def _is(condition: ColumnElement[bool], wanted: object) -> ColumnElement[bool]:
    return condition if wanted else not_(condition)


def _sorted(query: Select[Any], sort: str | None) -> Select[Any]:
    name, _, direction = (sort or "").rpartition("_")
    if name not in SORTS or direction not in {"asc", "desc"}:
        return query.order_by(Token.id)
    column = SORTS[name]
    if direction == "asc":
        return query.order_by(column.asc().nulls_first(), Token.id.asc())
    return query.order_by(column.desc().nulls_last(), Token.id.desc())
