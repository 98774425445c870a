"""Endings of sessions: by signing out, by their owner from elsewhere, by an admin."""

from __future__ import annotations

from sqlalchemy import select

from tokensrv.db import Store
from tokensrv.errors import NotFound
from tokensrv.models import WebSession
from tokensrv.services.account import impersonation, sessions
from tokensrv.services.account.sessions import Current
from tokensrv.services.authority import confirm, refuse_sudo, require_admin
from tokensrv.services.trail.events import NewEvent, Origin, append


def sign_out(store: Store, origin: Origin, current: Current) -> None:
    """End the session of this request, whatever its stage, and whom it acts as with it.

    Raises StorageUnavailable.
    """
    with store.write() as session:
        row = session.get(WebSession, current.session.id, with_for_update=True)
        if row is None:
            return
        event = None if row.subject_id is None else impersonation.stopped(session, row)
        session.delete(row)
        if event is not None:
            append(session, store.clock, origin, [event])


def end(store: Store, origin: Origin, current: Current, session_id: int) -> None:
    """End one of the caller's own sessions; raises NotFound, Forbidden, Refused."""
    refuse_sudo(origin)
    with store.write() as session:
        confirm(session, store, origin)
        row = session.get(WebSession, session_id, with_for_update=True)
        if row is None or row.user_id != current.user.id:
            raise NotFound("Session", session_id)
        session.delete(row)
        data = {"user_id": current.user.id, "session_id": session_id}
        append(session, store.clock, origin, [NewEvent(action="session.ended", data=data)])


def end_others(store: Store, origin: Origin, current: Current) -> None:
    """End all sessions of the caller but the one of this request; raises Forbidden, Refused."""
    refuse_sudo(origin)
    with store.write() as session:
        confirm(session, store, origin)
        sessions.end_all(session, current.user.id, but=current.session.id)
        data = {"user_id": current.user.id, "but_session_id": current.session.id}
        append(session, store.clock, origin, [NewEvent(action="session.ended", data=data)])


def end_every(store: Store, origin: Origin, user_id: int) -> bool:
    """End all sessions of a user, as an admin; False when he had none.

    Raises NotFound, Forbidden, Refused.
    """
    refuse_sudo(origin)
    with store.write() as session:
        locked = confirm(session, store, origin, users=[user_id])
        require_admin(locked)
        user = locked.user(user_id)
        his = select(WebSession.id).where(WebSession.user_id == user_id)
        if session.scalars(his).first() is None:
            return False
        sessions.end_all(session, user_id)
        data = {"user_id": user.id, "username": user.username}
        append(session, store.clock, origin, [NewEvent(action="session.ended", data=data)])
        return True
