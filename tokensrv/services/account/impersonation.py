"""Impersonation: an admin sees and uses the pages of somebody else, for a reason that is recorded.

His own session carries it, so that it ends with that session, and after an hour at most. Both ends
of it give the session a new cookie. What may be done meanwhile is what sudo may, and each verb
decides that anew: nothing is made that would outlast it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.domain import texts
from tokensrv.domain.caller import REASON_LENGTH, Caller, Check, Refusal
from tokensrv.domain.facts import UserFacts
from tokensrv.domain.impersonation import impersonate
from tokensrv.errors import Forbidden, Invalid, NotFound
from tokensrv.models import User, WebSession
from tokensrv.services.account import sessions
from tokensrv.services.account.sessions import Current, NewSession
from tokensrv.services.authority import Locked, confirm, policy, require_admin
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import NewEvent, Origin, append

_WORDS: Final = {
    Check.TARGET_STATE: "You cannot impersonate a {state} user",
    Check.TARGET_ADMIN: "You cannot impersonate an administrator",
}


def start(store: Store, origin: Origin, current: Current, user_id: int, reason: str) -> NewSession:
    """Let the admin of a session act as a user; returns the session under its new cookie.

    Raises Invalid (``reason``: 1 to 255 characters), NotFound, Refused, Forbidden: the user is
    not active, is an admin or the caller himself, or the session acts as somebody already.
    """
    _check_reason(reason)
    with store.write() as session:
        locked = confirm(session, store, origin, users=[user_id, current.user.id])
        row = sessions.lock(session, store, current.session.id)
        if row.subject_id is not None:
            raise Forbidden("You are impersonating somebody already")
        require_admin(locked)
        target = _target(store, locked, current.user.id, user_id, reason)
        row.subject_id, row.reason = target.id, reason
        row.impersonating_since = utcnow(store.clock)
        renewed = sessions.renew(session, store, row)
        event = _event("impersonation.started", session, row)
        append(session, store.clock, origin, [event])
        return renewed


def is_possible(store: Store, admin: UserFacts, user: UserRecord) -> bool:
    """Return whether this admin may act as this user, for any reason that he gives."""
    target = UserFacts(user.id, user.username, user.state, user.is_admin)
    decision = impersonate(admin, target, "any", policy=policy(store))
    return user.id != admin.id and isinstance(decision, Caller)


def stop(store: Store, origin: Origin, current: Current) -> NewSession:
    """Let the admin of a session be himself again, whatever has become of either of them.

    Returns the session under its new cookie; raises NotFound when it acts as nobody.
    """
    with store.write() as session:
        row = sessions.lock(session, store, current.session.id)
        if row.subject_id is None:
            raise NotFound("Impersonation")
        event = stopped(session, row)
        row.subject_id = row.impersonating_since = row.reason = None
        renewed = sessions.renew(session, store, row)
        append(session, store.clock, origin, [event])
        return renewed


def stopped(session: Session, row: WebSession) -> NewEvent:
    """Return the event of a session, locked, that acts as somebody and is about to end that."""
    return _event("impersonation.stopped", session, row)


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise Invalid("reason", "is missing")
    texts.check("reason", reason, REASON_LENGTH)


def _target(store: Store, locked: Locked, admin_id: int, user_id: int, reason: str) -> User:
    """Return whom the admin may act as; raises NotFound, Forbidden."""
    target = locked.user(user_id)
    if user_id == admin_id:
        raise Forbidden("You cannot impersonate yourself")
    admin = locked.user(admin_id)
    decision = impersonate(admin.facts(), target.facts(), reason, policy=policy(store))
    if isinstance(decision, Refusal):
        raise Forbidden(_WORDS.get(decision.check, "").format(state=target.state))
    return target


def _event(action: str, session: Session, row: WebSession) -> NewEvent:
    """Return an event with both names; one of the two may not be good for a caller any more."""
    admin, subject = session.get_one(User, row.user_id), session.get_one(User, row.subject_id)
    return NewEvent(
        action=action,
        actor=admin.facts(),
        subject=subject.facts(),
        reason=row.reason,
        data={"user_id": subject.id, "username": subject.username},
    )
