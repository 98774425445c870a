"""Lists of users: filtered, sorted, by pages or after a key."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, exists, not_, or_, select

from tokensrv.db import Store
from tokensrv.domain.facts import UserState
from tokensrv.domain.usernames import key
from tokensrv.models import Passkey, Totp, User
from tokensrv.services.pages import Key, Order, Page, PageRequest, fetch, fetch_after
from tokensrv.services.records import UserRecord, user_record

ORDERS: dict[str, Any] = {
    "id": User.id,
    "name": User.name,
    "username": User.username_key,
    "created_at": User.created_at,
    "updated_at": User.updated_at,
}
_HAS_TWO_FACTOR: Final = or_(
    exists().where(Totp.user_id == User.id, Totp.confirmed_at.is_not(None)),
    exists().where(Passkey.user_id == User.id),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFilter:
    """Which users to list; None: that filter is off. ``search`` looks at name and username;
    an e-mail address must be given whole, and ``by_private_email`` says which ones count.
    """

    username: str | None = None
    search: str = ""
    by_private_email: bool = False
    is_active: bool | None = None
    is_blocked: bool | None = None
    state: UserState | None = None
    is_external: bool | None = None
    only_admins: bool = False
    has_two_factor: bool | None = None
    created_before: datetime | None = None
    created_after: datetime | None = None


def list_users(
    store: Store,
    wanted: UserFilter,
    *,
    order_by: str = "id",
    is_descending: bool = True,
    page: PageRequest | None = None,
) -> Page[UserRecord]:
    """Return one page of users, ordered by one of ``ORDERS``."""
    query = select(User).where(*_conditions(wanted))
    order = Order(User.id, ORDERS[order_by], is_descending=is_descending)
    with store.read() as session:
        return fetch(session, query, order, page or PageRequest(), user_record)


def list_users_after(
    store: Store,
    wanted: UserFilter,
    *,
    order_by: str,
    is_descending: bool,
    after: Key | None,
    limit: int,
) -> tuple[tuple[UserRecord, ...], Key | None]:
    """Return up to ``limit`` users after a key, and the key of the next ones if there are any."""
    query = select(User).where(*_conditions(wanted))
    order = Order(User.id, ORDERS[order_by], is_descending=is_descending)
    with store.read() as session:
        return fetch_after(session, query, order, after, limit, user_record)


def users_by_id(store: Store, ids: Collection[int]) -> dict[int, UserRecord]:
    """Return those of these users that exist, each under his id."""
    if not ids:
        return {}
    with store.read() as session:
        rows = session.scalars(select(User).where(User.id.in_(ids)))
        return {row.id: user_record(row) for row in rows}


def with_two_factor(store: Store, ids: Collection[int]) -> frozenset[int]:
    """Return the ids of those of these users who have a second factor."""
    if not ids:
        return frozenset()
    with store.read() as session:
        return frozenset(session.scalars(select(User.id).where(User.id.in_(ids), _HAS_TWO_FACTOR)))


def _conditions(wanted: UserFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.username is not None:
        yield User.username_key == key(wanted.username)
    if wanted.search:
        yield _matches(wanted)
    if wanted.is_active is not None:
        yield _is(User.state == UserState.ACTIVE.value, wanted.is_active)
    if wanted.is_blocked is not None:
        yield _is(User.state == UserState.BLOCKED.value, wanted.is_blocked)
    if wanted.state is not None:
        yield User.state == wanted.state.value
    if wanted.is_external is not None:
        yield _is(User.external, wanted.is_external)
    if wanted.only_admins:
        yield _is(User.is_admin, wanted.only_admins)
    if wanted.has_two_factor is not None:
        yield _is(_HAS_TWO_FACTOR, wanted.has_two_factor)
    if wanted.created_before is not None:
        yield User.created_at <= wanted.created_before
    if wanted.created_after is not None:
        yield User.created_at >= wanted.created_after


def _is(condition: Any, wanted: object) -> ColumnElement[bool]:
    found: ColumnElement[bool] = condition if wanted else not_(condition)
    return found


def _matches(wanted: UserFilter) -> ColumnElement[bool]:
    text = wanted.search
    conditions = [
        User.name.icontains(text, autoescape=True),
        User.username_key.contains(key(text), autoescape=True),
        and_(User.public_email != "", User.public_email == text),
    ]
    if wanted.by_private_email:
        conditions.append(User.email_key == key(text))
    return or_(*conditions)
