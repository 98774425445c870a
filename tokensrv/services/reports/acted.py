"""Acted: who did something as a user, and who still can.

It reads what the log and the tokens of exchanges tell of somebody else acting as him; that he may
see it is the point of both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, select, true

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.models import Event, Token, User
from tokensrv.services.records import EventRecord, event_record


@dataclass(frozen=True, slots=True)
class LentToken:
    """A token, out of an exchange, with which ``actor`` acts as somebody else.

    ``reason`` None: he gave none. ``expires_at`` None: it has no end, as no exchange leaves it.
    """

    id: int
    actor: str
    client_id: str
    scopes: tuple[str, ...]
    reason: str | None
    created_at: datetime
    expires_at: datetime | None


def acts(
    store: Store, user_id: int, *, before: int | None = None, limit: int
) -> tuple[tuple[EventRecord, ...], int | None]:
    """Return what others did as this user, the latest first.

    ``before``: only what stands before this ``seq`` in the log. The second value is the ``before``
    of what follows, None when that was all.
    """
    query = (
        select(Event)
        .where(Event.subject_id == user_id, Event.actor_id != Event.subject_id)
        .order_by(Event.seq.desc())
        .limit(limit + 1)
    )
    if before is not None:
        query = query.where(Event.seq < before)
    with store.read() as session:
        found = tuple(map(event_record, session.scalars(query)))
    return found[:limit], found[limit - 1].seq if len(found) > limit else None


def lent(store: Store, user_id: int, *, limit: int) -> tuple[LentToken, ...]:
    """Return the tokens, neither revoked nor expired, with which others act as this user.

    The latest come first. One of them may be dead already because its source is.
    """
    query = (
        select(Token, User.username)
        .join(User, User.id == Token.actor_id)
        .where(
            Token.user_id == user_id,
            Token.kind == TokenKind.EXCHANGED.value,
            Token.revoked_at.is_(None),
            # None that lives may be missing here, so that one without an end counts as well.
            (Token.expires_at <= utcnow(store.clock)).is_not(true()),
        )
        .order_by(Token.id.desc())
        .limit(limit)
    )
    with store.read() as session:
        return tuple(map(_lent, session.execute(query)))


def _lent(row: Row[Token, str]) -> LentToken:
    token, actor = row
    return LentToken(
        id=token.id,
        actor=actor,
        client_id=token.exchanged_by or "",
        scopes=token.scopes,
        reason=token.reason,
        created_at=token.created_at,
        expires_at=token.expires_at,
    )
