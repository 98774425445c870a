"""Web sessions: opened, renewed, listed. They are found by ``recognition``, ended by ``endings``.

What stands in the browser's cookie is random, and only its digest is stored. Whenever a session's
power changes it gets a new one, so that whoever knew the one before has nothing. A session ends
with its user: each request reads both.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.domain.caller import Caller
from tokensrv.domain.facts import UserState
from tokensrv.domain.secret import digest
from tokensrv.errors import NotFound
from tokensrv.models import User, WebSession
from tokensrv.services.records import UserRecord

# How long a session lives, at most and unused; how long one may take to sign in.
LIFETIME: Final = timedelta(days=14)
IDLE: Final = timedelta(days=1)
PENDING: Final = timedelta(minutes=15)
# Whom a complete sign-in lets in: it wakes a deactivated user, as in GitLab.
MAY_SIGN_IN: Final = frozenset({UserState.ACTIVE, UserState.DEACTIVATED})
# For so long after a proof of who he is a user may do what makes or changes credentials.
FRESH: Final = timedelta(minutes=30)
USER_AGENT_LENGTH: Final = 255
_SWEPT_AT_ONCE: Final = 100


class Stage(StrEnum):
    """How far a sign-in has come: what is asked for next, or ``full``."""

    SECOND_FACTOR = "second_factor"
    PASSWORD = "password"  # noqa: S105  # the name of a step
    FULL = "full"


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session as its owner may see it."""

    id: int
    user_id: int
    stage: Stage
    methods: tuple[str, ...]
    created_at: datetime
    seen_at: datetime
    authenticated_at: datetime
    ip: str | None
    opened_ip: str | None
    user_agent: str


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session with the value of its cookie: the one place where that exists."""

    record: SessionRecord
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Current:
    """The session of a request. ``subject`` is the user whose pages are shown.

    They differ while an admin acts as somebody else, since ``impersonating_since``. ``caller``
    None: the sign-in is not complete, and nothing is open but its next step; or the admin may act
    as the other no longer, and nothing is open but to stop.
    """

    session: SessionRecord
    user: UserRecord
    subject: UserRecord
    caller: Caller | None
    impersonating_since: datetime | None = None

    @property
    def is_impersonating(self) -> bool:
        """Return whether an admin acts as somebody else."""
        return self.impersonating_since is not None

    def is_fresh(self, now: datetime) -> bool:
        """Return whether its user has proven lately enough who he is."""
        return now < self.session.authenticated_at + FRESH


@dataclass(frozen=True, slots=True)
class Browser:
    """Where a session is used: shown to its owner, never relied upon."""

    ip: str | None
    user_agent: str


def is_alive(row: WebSession, now: datetime) -> bool:
    """Return whether the session is not over yet, whatever its user's state."""
    if row.stage != Stage.FULL:
        return now < row.created_at + PENDING
    return now < row.expires_at and now < row.seen_at + IDLE


def add(
    session: Session,
    store: Store,
    user: User,
    *,
    stage: Stage,
    methods: tuple[str, ...],
    browser: Browser,
) -> NewSession:
    """Add a session within a transaction; its event is the caller's to append."""
    now, secret = utcnow(store.clock), _secret()
    row = WebSession(
        digest=digest(secret),
        user_id=user.id,
        stage=stage.value,
        methods=methods,
        created_at=now,
        seen_at=now,
        authenticated_at=now,
        expires_at=now + LIFETIME,
        ip=browser.ip,
        opened_ip=browser.ip,
        user_agent=browser.user_agent[:USER_AGENT_LENGTH],
    )
    session.add(row)
    session.flush()
    _sweep(session, now)
    return NewSession(session_record(row), secret)


def _sweep(session: Session, now: datetime) -> None:
    """Remove some of the sessions that are over; whatever somebody holds is left for later."""
    over = (
        select(WebSession.id)
        .where(WebSession.expires_at <= now)
        .order_by(WebSession.expires_at)
        .limit(_SWEPT_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    ids = session.scalars(over).all()
    if ids:
        session.execute(delete(WebSession).where(WebSession.id.in_(ids)))


def renew(session: Session, store: Store, row: WebSession) -> NewSession:
    """Give a session, changed or to be changed in this transaction, a new cookie."""
    secret = _secret()
    row.digest, row.seen_at = digest(secret), utcnow(store.clock)
    row.challenge = None
    session.flush()
    return NewSession(session_record(row), secret)


def lock(session: Session, store: Store, session_id: int) -> WebSession:
    """Return a session's row, locked; raises NotFound when it is over.

    Users are locked before sessions, as everywhere.
    """
    query = select(WebSession).where(WebSession.id == session_id).with_for_update()
    row = session.scalars(query).first()
    if row is None or not is_alive(row, utcnow(store.clock)):
        raise NotFound("Session", session_id)
    return row


def list_of(store: Store, user_id: int) -> tuple[SessionRecord, ...]:
    """Return a user's sessions, the one that was seen last first."""
    now = utcnow(store.clock)
    query = (
        select(WebSession)
        .where(WebSession.user_id == user_id, WebSession.stage == Stage.FULL.value)
        .order_by(WebSession.seen_at.desc(), WebSession.id.desc())
    )
    with store.read() as session:
        return tuple(session_record(row) for row in session.scalars(query) if is_alive(row, now))


def end_all(session: Session, user_id: int, *, but: int | None = None) -> None:
    """End a user's sessions within a transaction, all ``but`` one.

    Those of admins who act as him are theirs: each request asks whether they still may.
    """
    mine: ColumnElement[bool] = WebSession.user_id == user_id
    if but is not None:
        mine &= WebSession.id != but
    session.execute(delete(WebSession).where(mine))


def session_record(row: WebSession) -> SessionRecord:
    """Return a session's row as a value, without its digest."""
    return SessionRecord(
        id=row.id,
        user_id=row.user_id,
        stage=Stage(row.stage),
        methods=row.methods,
        created_at=row.created_at,
        seen_at=row.seen_at,
        authenticated_at=row.authenticated_at,
        ip=row.ip,
        opened_ip=row.opened_ip,
        user_agent=row.user_agent,
    )


def _secret() -> str:
    return secrets.token_urlsafe(32)
