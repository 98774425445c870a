"""Recognition: whose request it is that brings a cookie, and as whom he acts.

Each request asks anew, of the session and of its users as they are now, so that whoever lost
something has lost it with his next request.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import aliased

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.domain.caller import Caller, Refusal, decide
from tokensrv.domain.facts import UserState
from tokensrv.domain.impersonation import impersonate
from tokensrv.domain.secret import digest
from tokensrv.errors import StorageUnavailable
from tokensrv.models import User, WebSession
from tokensrv.services.account.sessions import (
    MAY_SIGN_IN,
    USER_AGENT_LENGTH,
    Browser,
    Current,
    Stage,
    is_alive,
    session_record,
)
from tokensrv.services.authority import policy
from tokensrv.services.records import user_record

# So long an admin may act as somebody else.
ACTING: Final = timedelta(hours=1)
# A use is written when the last one that was is older than this.
_SEEN_EVERY: Final = timedelta(minutes=1)


def find(store: Store, secret: str, browser: Browser) -> Current | None:
    """Return the session whose cookie this is, None when it is over; notes that it was seen.

    Raises StorageUnavailable.
    """
    now = utcnow(store.clock)
    subject = aliased(User)
    query = (
        select(WebSession, User, subject)
        .join(User, User.id == WebSession.user_id)
        .outerjoin(subject, subject.id == WebSession.subject_id)
        .where(WebSession.digest == digest(secret))
    )
    with store.read() as session:
        found = session.execute(query).first()
    if found is None:
        return None
    row, user, other = found
    allowed = {UserState.ACTIVE} if row.stage == Stage.FULL else MAY_SIGN_IN
    if not is_alive(row, now) or user.state not in allowed:
        return None
    current = _current(store, row, user, other)
    if now >= row.seen_at + _SEEN_EVERY:
        _note(store, row.id, now, browser)
    return current


def _current(store: Store, row: WebSession, user: User, subject: User | None) -> Current:
    record, owner = session_record(row), user_record(user)
    if record.stage is not Stage.FULL:
        return Current(record, owner, owner, None)
    if subject is not None:
        caller = _acting(store, row, user, subject)
        return Current(record, owner, user_record(subject), caller, row.impersonating_since)
    own = decide(
        None,
        user.facts(),
        None,
        None,
        now_ms=store.clock.now_ms(),
        policy=policy(store),
        is_session=True,
    )
    return Current(record, owner, owner, None if isinstance(own, Refusal) else own)


def _acting(store: Store, row: WebSession, admin: User, subject: User) -> Caller | None:
    """Return the caller that acts as somebody else; None: it is over, and can only be stopped.

    The admin does not become himself by the way: what he sends next was meant for the other.
    """
    since = row.impersonating_since
    if since is None or utcnow(store.clock) >= since + ACTING:
        return None
    decision = impersonate(admin.facts(), subject.facts(), row.reason or "", policy=policy(store))
    return None if isinstance(decision, Refusal) else decision


def _note(store: Store, session_id: int, now: datetime, browser: Browser) -> None:
    """Write when and where a session was seen; a page need not wait for a database that is busy."""
    seen = {"seen_at": now, "ip": browser.ip, "user_agent": browser.user_agent[:USER_AGENT_LENGTH]}
    with suppress(StorageUnavailable), store.write() as session:
        session.execute(update(WebSession).where(WebSession.id == session_id).values(**seen))
