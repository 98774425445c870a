"""Last used: when a token was used last and from where, as it is remembered and written.

``services.trail.usage`` gathers it; here it is merged and written, so that nothing ever goes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from ipaddress import ip_address
from typing import NamedTuple

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.orm import Session

from tokensrv.clock import from_ms
from tokensrv.db import Base, Moment
from tokensrv.models import Token, User

LAST_IPS = 5


class Use(NamedTuple):
    """The last use of a token, and the addresses since the one that was written before."""

    at_ms: int
    user_id: int
    ips: tuple[str, ...]


_users, _tokens = (
    Base.metadata.tables[User.__tablename__],
    Base.metadata.tables[Token.__tablename__],
)
_ACTIVE = (
    update(_users)
    .where(
        _users.c.id == bindparam("user_id"),
        or_(
            _users.c.last_activity_at.is_(None),
            _users.c.last_activity_at < bindparam("at", type_=Moment),
        ),
    )
    .values(last_activity_at=bindparam("at", type_=Moment))
)
_USED = (
    update(_tokens)
    .where(_tokens.c.id == bindparam("token_id"))
    .values(last_used_at=bindparam("at"), last_used_ips=bindparam("ips"))
)


def is_address(text: str) -> bool:
    """Return whether this can be kept as one from where a token was used."""
    try:
        ip_address(text)
    except ValueError:
        return False
    # What follows it, the name of an interface, may be anything.
    return "%" not in text


def latest_ips(known: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    """Return the five latest distinct addresses, the latest last."""
    distinct = dict.fromkeys(known)
    for ip in more:
        distinct.pop(ip, None)
        distinct[ip] = None
    return tuple(distinct)[-LAST_IPS:]


def merged(older: Use | None, newer: Use) -> Use:
    """Return both as one."""
    if older is None:
        return newer
    at_ms = max(older.at_ms, newer.at_ms)
    return Use(at_ms, newer.user_id, latest_ips(older.ips, newer.ips))


def write(session: Session, uses: Mapping[int, Use]) -> None:
    """Write the uses of these tokens (by id) and the activity of their owners."""
    # Users before tokens, each by ascending id: the order in which every verb locks.
    active: dict[int, datetime] = {}
    for use in uses.values():
        at = from_ms(use.at_ms)
        active[use.user_id] = max(at, active.get(use.user_id, at))
    connection = session.connection()
    connection.execute(
        _ACTIVE, [{"user_id": user_id, "at": at} for user_id, at in sorted(active.items())]
    )
    rows = session.execute(
        select(Token.id, Token.last_used_at, Token.last_used_ips)
        .where(Token.id.in_(uses))
        .order_by(Token.id)
        .with_for_update()
    ).all()
    changes = [
        {
            "token_id": row.id,
            "at": max(from_ms(uses[row.id].at_ms), row.last_used_at or from_ms(0)),
            "ips": latest_ips(row.last_used_ips, uses[row.id].ips),
        }
        for row in rows
    ]
    if changes:
        connection.execute(_USED, changes)
