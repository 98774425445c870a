"""The inventory: the tokens of all users, found by what they are, however many there are.

What a list is sorted by has an index, what it is filtered by need not. So a page looks through
``LOOKED_THROUGH`` tokens at most, in their order, and tells when there are more. An export looks
through all of them, a portion at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, aliased

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.models import Token, User
from tokensrv.services.lifecycle.token_lists import SORTS, TokenFilter, conditions
from tokensrv.services.pages import MAX_COUNTED, Order, Page, PageRequest, fetch
from tokensrv.services.records import TokenRecord, token_record

LOOKED_THROUGH: Final = MAX_COUNTED
# Few enough to be held at once, many enough to be worth a query.
_PORTION: Final = 5_000

# What lists are sorted by, and the filters that are a stretch of the same index.
_STRETCHES: Final = {
    "created": ("created_before", "created_after"),
    "expires": ("expires_before", "expires_after", "is_expired"),
    "last_used": ("last_used_before", "last_used_after", "is_used"),
    "name": ("name",),
    "revoked": ("is_revoked",),
}
# The order in which what is filtered by is found best: that of the first one that is given.
_FITTING: Final = (
    ("is_expired", "expires_desc"),
    ("expires_before", "expires_asc"),
    ("expires_after", "expires_asc"),
    ("is_used", "last_used_asc"),
    ("last_used_before", "last_used_desc"),
    ("last_used_after", "last_used_desc"),
)


@dataclass(frozen=True, slots=True)
class Inventory:
    """A page of the inventory, the usernames of the owners by id, and how it is sorted.

    ``is_capped``: there are more tokens than were looked through, and none of those is listed.
    """

    page: Page[TokenRecord]
    owners: Mapping[int, str]
    sort: str
    is_capped: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A token and the username of its owner."""

    token: TokenRecord
    owner: str


def find(
    store: Store, wanted: TokenFilter, *, sort: str | None = None, page: PageRequest | None = None
) -> Inventory:
    """Return a page of the tokens that are wanted; raises StorageUnavailable.

    ``sort`` is one of ``SORTS`` with ``_asc`` or ``_desc``, anything else the order that fits
    the filters. Of one owner the latest tokens are looked through, whatever the order.
    """
    now, sort = utcnow(store.clock), _sort(wanted, sort)
    window, first = _window(wanted, sort, now)
    looked = aliased(Token, window.sorted(first).limit(LOOKED_THROUGH).subquery())
    query = select(looked).where(*conditions(wanted, now, looked))
    order = _order(looked, sort)
    beyond = window.sorted(first.with_only_columns(Token.id)).offset(LOOKED_THROUGH).limit(1)
    with store.read() as session:
        found = fetch(
            session, query, order, page or PageRequest(), lambda row: token_record(row, now)
        )
        is_capped = session.scalar(beyond) is not None
        return Inventory(found, _owners(session, found.items), sort, is_capped)


def each(store: Store, wanted: TokenFilter) -> Iterator[Entry]:
    """Return all tokens that are wanted, the oldest first.

    They are read while they are taken, and in between nothing is held: whoever takes them may be
    slow. The first portion is read at once; raises StorageUnavailable.
    """
    portions = _portions(store, wanted)
    first = next(portions, [])
    return chain(first, chain.from_iterable(portions))


def pick(store: Store, token_ids: Collection[int]) -> tuple[Entry, ...]:
    """Return those of these tokens that exist, the oldest first; raises StorageUnavailable."""
    now = utcnow(store.clock)
    query = (
        select(Token, User.username)
        .join(User, User.id == Token.user_id)
        .where(Token.id.in_(token_ids))
    )
    with store.read() as session:
        rows = session.execute(query.order_by(Token.id))
        return tuple(Entry(token_record(token, now), owner) for token, owner in rows)


def _sort(wanted: TokenFilter, asked: str | None) -> str:
    name, _, direction = (asked or "").rpartition("_")
    if asked and name in SORTS and direction in {"asc", "desc"}:
        return asked
    if wanted.is_revoked:
        return "revoked_desc"
    fitting = (sort for field, sort in _FITTING if getattr(wanted, field) is not None)
    return next(fitting, "created_desc")


def _window(wanted: TokenFilter, sort: str, now: datetime) -> tuple[Order, Select[Any]]:
    """Return the query for the tokens to look through, and their order; both are of one index."""
    if wanted.user_id is not None:
        his = TokenFilter(user_id=wanted.user_id)
        return Order(Token.id, is_descending=True), select(Token).where(*conditions(his, now))
    stretch = {name: getattr(wanted, name) for name in _STRETCHES[sort.rpartition("_")[0]]}
    first = select(Token).where(*conditions(TokenFilter(**stretch), now))
    return _order(Token, sort), first


def _order(token: type[Token], sort: str) -> Order:
    name, _, direction = sort.rpartition("_")
    column = token.name if name == "name" else getattr(token, f"{name}_at")
    return Order(token.id, column, is_descending=direction == "desc")


def _portions(store: Store, wanted: TokenFilter) -> Iterator[list[Entry]]:
    """Yield what is wanted of each portion of all tokens, or of the owner's, by their ids."""
    now, last = utcnow(store.clock), 0
    his = list(conditions(TokenFilter(user_id=wanted.user_id), now))
    while True:
        portion = select(Token.id).where(*his, Token.id > last).order_by(Token.id).limit(_PORTION)
        with store.read() as session:
            end = session.scalar(select(func.max(portion.subquery().c.id)))
            if end is None:
                return
            within = Token.id > last, Token.id <= end, *conditions(wanted, now)
            rows = session.scalars(select(Token).where(*within).order_by(Token.id))
            found = [token_record(row, now) for row in rows]
            owners = _owners(session, found)
        # Whoever is deleted meanwhile takes his tokens with him.
        yield [Entry(one, owners[one.user_id]) for one in found if one.user_id in owners]
        last = end


def _owners(session: Session, tokens: Iterable[TokenRecord]) -> dict[int, str]:
    ids = {token.user_id for token in tokens}
    rows = session.execute(select(User.id, User.username).where(User.id.in_(ids)))
    return {row.id: row.username for row in rows}
