"""Signing in: from a password to a session that opens the pages, one step after the other.

A sign-in is complete, and only then an event, when nothing is left to ask: first the second
factor of whoever has one, then a new password where an admin had chosen the last. Every step gives
the session a new cookie.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, or_
from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.domain.facts import UserState
from tokensrv.models import User, WebSession
from tokensrv.services.account import impersonation, proof, second_factors, sessions
from tokensrv.services.account.proof import Denied, Proof, Reason
from tokensrv.services.account.sessions import Browser, Current, NewSession, Stage
from tokensrv.services.authority import confirm, refuse_sudo
from tokensrv.services.trail.events import NewEvent, Origin, append

# For so long after a second factor a password is enough to prove anew who one is.
SECOND_FACTOR_LASTS: Final = timedelta(hours=1)


def sign_in(
    store: Store,
    origin: Origin,
    login: str,
    password: str,
    browser: Browser,
    *,
    previous: Current | None = None,
) -> NewSession | Denied:
    """Open a session for whom a username or an e-mail address names; ``previous`` ends.

    Whether an account exists, or is blocked, is told to nobody but whoever has its password.
    Raises StorageUnavailable.
    """
    proven = proof.of_login(store, login, password, browser.ip)
    if isinstance(proven, Denied):
        return proven
    with store.write() as session:
        user = confirm(session, store, origin, users=[proven.user_id]).users.get(proven.user_id)
        # Sessions are locked before counts of attempts, as everywhere.
        ended = None if previous is None else _lock(session, previous)
        if user is None or not proof.accept(session, user, proven):
            return proof.logged(Denied(Reason.WRONG), proven.user_id)
        if user.state not in sessions.MAY_SIGN_IN:
            return proof.logged(Denied(Reason.INACTIVE), user.id)
        events = [] if ended is None else _end(session, ended)
        _remove_dead(session, store, user.id)
        return _open(session, store, origin, user, browser, events)


def complete(
    session: Session,
    store: Store,
    origin: Origin,
    row: WebSession,
    user: User,
    *,
    method: str,
    events: Sequence[NewEvent] = (),
) -> NewSession:
    """Move a session on whose user has proven a second factor, both locked; ``events`` go first.

    A session that was complete has proven it anew. It appends events, so nothing may be locked or
    changed after it.
    """
    now = utcnow(store.clock)
    row.methods = tuple(dict.fromkeys((*row.methods, method)))
    row.second_factor_at = now
    if row.stage != Stage.SECOND_FACTOR:
        return _renewed(session, store, origin, row, list(events))
    row.authenticated_at = now
    return advance(session, store, origin, row, user, events=events)


def advance(
    session: Session,
    store: Store,
    origin: Origin,
    row: WebSession,
    user: User,
    *,
    events: Sequence[NewEvent] = (),
) -> NewSession:
    """Give a session its next stage and append ``events``, the last of them the sign-in's."""
    stage = Stage.PASSWORD if user.password_expired else Stage.FULL
    row.stage = stage.value
    last = _completed(store, user, row.methods) if stage is Stage.FULL else []
    return _renewed(session, store, origin, row, [*events, *last])


def confirm_again(
    store: Store, origin: Origin, current: Current, password: str, browser: Browser
) -> NewSession | Denied:
    """Let a user prove anew who he is: the session gets a new cookie, and is fresh again.

    Whoever has a second factor must have proven that lately, too: a password alone is not enough
    to take it away. Raises Forbidden, NotFound, Refused, StorageUnavailable.
    """
    refuse_sudo(origin)
    if needs_second_factor(store, current):
        return Denied(Reason.SECOND_FACTOR)
    proven = proof.of_user(store, current.user.id, password, browser.ip)
    if isinstance(proven, Denied):
        return proven
    with store.write() as session:
        return _again(session, store, origin, current, proven)


def needs_second_factor(store: Store, current: Current) -> bool:
    """Return whether a second factor must be proven before the password is asked for again."""
    with store.read() as session:
        row = session.get(WebSession, current.session.id)
        return row is not None and _is_stale(session, store, row)


def _again(
    session: Session, store: Store, origin: Origin, current: Current, proven: Proof
) -> NewSession | Denied:
    user = confirm(session, store, origin, users=[proven.user_id]).user(proven.user_id)
    row = sessions.lock(session, store, current.session.id)
    if not proof.accept(session, user, proven):
        return Denied(Reason.WRONG)
    if _is_stale(session, store, row):
        return Denied(Reason.SECOND_FACTOR)
    row.authenticated_at = utcnow(store.clock)
    return sessions.renew(session, store, row)


def _is_stale(session: Session, store: Store, row: WebSession) -> bool:
    if not second_factors.of(session, row.user_id).has_any:
        return False
    proven_at = row.second_factor_at
    return proven_at is None or utcnow(store.clock) >= proven_at + SECOND_FACTOR_LASTS


def _open(
    session: Session,
    store: Store,
    origin: Origin,
    user: User,
    browser: Browser,
    events: list[NewEvent],
) -> NewSession:
    stage, methods = _first_stage(session, user), ("password",)
    new = sessions.add(session, store, user, stage=stage, methods=methods, browser=browser)
    last = _completed(store, user, methods) if stage is Stage.FULL else []
    if events or last:
        append(session, store.clock, origin, [*events, *last])
    return new


def _first_stage(session: Session, user: User) -> Stage:
    if second_factors.of(session, user.id).has_any:
        return Stage.SECOND_FACTOR
    return Stage.PASSWORD if user.password_expired else Stage.FULL


def _renewed(
    session: Session, store: Store, origin: Origin, row: WebSession, events: list[NewEvent]
) -> NewSession:
    new = sessions.renew(session, store, row)
    if events:
        append(session, store.clock, origin, events)
    return new


def _lock(session: Session, previous: Current) -> WebSession | None:
    return session.get(WebSession, previous.session.id, with_for_update=True)


def _end(session: Session, row: WebSession) -> list[NewEvent]:
    """End the session that a browser had, and whom it acts as with it; returns the event of that.

    Whoever knew its cookie has nothing of the one that begins.
    """
    events = [] if row.subject_id is None else [impersonation.stopped(session, row)]
    session.delete(row)
    return events


def _remove_dead(session: Session, store: Store, user_id: int) -> None:
    """Remove what is left of a user's sessions that are over."""
    now = utcnow(store.clock)
    is_pending = WebSession.stage != Stage.FULL.value
    is_over = or_(
        WebSession.expires_at <= now,
        WebSession.seen_at <= now - sessions.IDLE,
        is_pending & (WebSession.created_at <= now - sessions.PENDING),
    )
    session.execute(delete(WebSession).where(WebSession.user_id == user_id, is_over))


def _completed(store: Store, user: User, methods: Sequence[str]) -> list[NewEvent]:
    """Return the events of a sign-in that is complete; it wakes a deactivated user."""
    was_asleep = user.state == UserState.DEACTIVATED
    if was_asleep:
        user.state, user.updated_at = UserState.ACTIVE.value, utcnow(store.clock)
    facts, data = user.facts(), {"user_id": user.id, "username": user.username}
    woken = NewEvent(action="user.activated", actor=facts, subject=facts, data=data)
    signed_in = NewEvent(
        action="user.signed_in", actor=facts, subject=facts, data=data | {"methods": list(methods)}
    )
    return [woken, signed_in] if was_asleep else [signed_in]
