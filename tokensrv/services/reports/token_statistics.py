"""Token statistics: how many tokens of his own a user has in each state."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sqlalchemy import ColumnElement, case, func, select

from tokensrv.clock import midnight, today, utcnow
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.models import Token
from tokensrv.services.pages import MAX_COUNTED

# A token that ends within so many days needs somebody's attention.
SOON_DAYS: Final = 14


@dataclass(frozen=True, slots=True)
class TokenStatistics:
    """Counts of tokens; those that expire soon are active ones.

    ``is_complete`` False: there are more than are worth counting, and only the latest are in it.
    """

    active: int
    expiring: int
    revoked: int
    expired: int
    is_complete: bool


def soon(day: date) -> date:
    """Return the first day whose tokens do not yet expire soon, seen from ``day``."""
    return day + timedelta(days=SOON_DAYS)


def token_statistics(store: Store, user_id: int) -> TokenStatistics:
    """Count a user's personal tokens in one query that reads ``MAX_COUNTED`` of them at most."""
    latest = (
        select(Token.expires_at, Token.revoked_at)
        .where(Token.user_id == user_id, Token.kind == TokenKind.PERSONAL.value)
        .order_by(Token.id.desc())
        .limit(MAX_COUNTED + 1)
        .subquery()
    )
    is_revoked = latest.c.revoked_at.is_not(None)
    is_over = latest.c.expires_at <= utcnow(store.clock)
    is_soon = latest.c.expires_at < midnight(soon(today(store.clock)))
    # A condition that is NULL, for want of an expiry, is no yes.
    query = select(
        _count(is_revoked),
        _count(~is_revoked & is_over),
        _count(~is_revoked & is_soon),
        func.count(),
    ).select_from(latest)
    with store.read() as session:
        revoked, expired, soon_or_over, total = session.execute(query).one()
    return TokenStatistics(
        active=total - revoked - expired,
        expiring=soon_or_over - expired,
        revoked=revoked,
        expired=expired,
        is_complete=total <= MAX_COUNTED,
    )


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, 1)))
