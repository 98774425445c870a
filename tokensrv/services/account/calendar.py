"""The calendar feed: a link with which a calendar reads when a user's tokens expire.

Its secret is of a kind of its own: it opens the feed and nothing else, and no token opens the
feed. It stands in an address, since calendars know no other way, so it shows names and days alone.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind, UserState
from tokensrv.domain.secret import digest
from tokensrv.errors import Forbidden, NotFound
from tokensrv.models import CalendarFeed, Token, User
from tokensrv.services.authority import confirm, refuse_minting
from tokensrv.services.trail.events import NewEvent, Origin, append

# Those that expire first; nobody keeps up with more.
_TOKENS: Final = 1_000


@dataclass(frozen=True, slots=True)
class NewFeed:
    """A feed just made: the one place where the secret of its address exists."""

    made_at: datetime
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Expiry:
    """A token that is dead from 00:00 UTC of ``day`` on."""

    token_id: int
    name: str
    day: date
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Expiries:
    """What a feed shows: whose tokens, and when those that live expire, the first one first."""

    username: str
    expiries: tuple[Expiry, ...]


def make(store: Store, origin: Origin) -> NewFeed:
    """Make the caller's feed anew; the address of the one before is dead.

    Raises Forbidden, Refused.
    """
    refuse_minting(origin)
    with store.write() as session:
        user_id = _confirm(session, store, origin)
        now, secret = utcnow(store.clock), secrets.token_urlsafe(32)
        session.merge(CalendarFeed(user_id=user_id, digest=digest(secret), created_at=now))
        event = NewEvent(action="feed.made", data={"user_id": user_id})
        append(session, store.clock, origin, [event])
    return NewFeed(now, secret)


def revoke(store: Store, origin: Origin) -> None:
    """End the caller's feed; raises NotFound (Feed), Forbidden, Refused."""
    with store.write() as session:
        user_id = _confirm(session, store, origin)
        gone = delete(CalendarFeed).where(CalendarFeed.user_id == user_id)
        if session.scalar(gone.returning(CalendarFeed.user_id)) is None:
            raise NotFound("Feed")
        event = NewEvent(action="feed.revoked", data={"user_id": user_id})
        append(session, store.clock, origin, [event])


def made_at(store: Store, user_id: int) -> datetime | None:
    """Return when a user's feed was made, None when there is none."""
    query = select(CalendarFeed.created_at).where(CalendarFeed.user_id == user_id)
    with store.read() as session:
        return session.scalar(query)


def expiries(store: Store, secret: str) -> Expiries | None:
    """Return what the feed of this secret shows, None for no feed of an active user."""
    now = utcnow(store.clock)
    owner = (
        select(User)
        .join(CalendarFeed, CalendarFeed.user_id == User.id)
        .where(CalendarFeed.digest == digest(secret), User.state == UserState.ACTIVE.value)
    )
    with store.read() as session:
        user = session.scalars(owner).first()
        if user is None:
            return None
        tokens = (
            select(Token.id, Token.name, Token.expires_at, Token.updated_at)
            .where(
                Token.user_id == user.id,
                Token.kind == TokenKind.PERSONAL.value,
                Token.revoked_at.is_(None),
                Token.expires_at > now,
            )
            .order_by(Token.expires_at, Token.id)
            .limit(_TOKENS)
        )
        found = tuple(
            Expiry(token_id, name, expires_at.date(), updated_at)
            for token_id, name, expires_at, updated_at in session.execute(tokens)
            # The query leaves out those without an end.
            if expires_at is not None
        )
        return Expiries(user.username, found)


def _confirm(session: Session, store: Store, origin: Origin) -> int:
    """Lock the caller's row, by which his feeds are made one after the other; return his id."""
    caller = confirm(session, store, origin).caller
    if caller is None:
        raise Forbidden
    return caller.subject.id
