"""One's own password: changed by its user, or replaced where an admin had chosen it.

A password that is changed ends every other session, and a link that would set one.
"""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.errors import InvalidRecord, NotFound
from tokensrv.models import PasswordReset, User
from tokensrv.services.account import proof, sessions, signing_in, throttle
from tokensrv.services.account.proof import Denied, Reason
from tokensrv.services.account.sessions import Browser, Current, NewSession, Stage
from tokensrv.services.authority import confirm, refuse_minting
from tokensrv.services.directory import passwords
from tokensrv.services.trail.events import NewEvent, Origin, append


def set_own_password(
    store: Store, origin: Origin, current: Current, old: str, new: str, browser: Browser
) -> NewSession | Denied:
    """Change the caller's password, which he must know; his other sessions end.

    The one that is left is no fresher for it, since no second factor is asked for here. Raises
    InvalidRecord (``password``), Forbidden, NotFound, Refused, StorageUnavailable.
    """
    refuse_minting(origin)
    passwords.check(new)
    proven = proof.of_user(store, current.user.id, old, browser.ip)
    if isinstance(proven, Denied):
        return proven
    stored = passwords.store_form(new)
    with store.write() as session:
        user = confirm(session, store, origin, users=[proven.user_id]).user(proven.user_id)
        row = sessions.lock(session, store, current.session.id)
        if not proof.accept(session, user, proven):
            return Denied(Reason.WRONG)
        replace_password(session, store, user, new, stored, but=row.id)
        renewed = sessions.renew(session, store, row)
        append(session, store.clock, origin, [password_set(user)])
        return renewed


def change_expired_password(store: Store, origin: Origin, current: Current, new: str) -> NewSession:
    """Replace the password that an admin chose, which completes the sign-in.

    Raises InvalidRecord (``password``), NotFound (nothing is to be replaced), StorageUnavailable.
    """
    stored = passwords.store_form(new)
    with store.read() as session:
        before = session.get(User, current.user.id)
    if before is not None and passwords.verify(before.password_hash, new):
        raise InvalidRecord("password", "must not be the one that somebody else has chosen")
    with store.write() as session:
        user = confirm(session, store, origin, users=[current.user.id]).user(current.user.id)
        row = sessions.lock(session, store, current.session.id)
        if row.stage != Stage.PASSWORD or user.state not in sessions.MAY_SIGN_IN:
            raise NotFound("Session")
        replace_password(session, store, user, new, stored, but=row.id)
        return signing_in.advance(session, store, origin, row, user, events=[password_set(user)])


def replace_password(
    session: Session, store: Store, user: User, password: str, stored: str, *, but: int | None
) -> None:
    """Give a user, locked, the password that he chose; his sessions end, all ``but`` one.

    Raises InvalidRecord (``password``). The event is the caller's to append.
    """
    passwords.check_against(password, username=user.username, email=user.email)
    user.password_hash, user.password_expired = stored, False
    user.updated_at = utcnow(store.clock)
    sessions.end_all(session, user.id, but=but)
    session.execute(delete(PasswordReset).where(PasswordReset.user_id == user.id))
    throttle.forget_codes(session, user.id)


def password_set(user: User) -> NewEvent:
    """Return the event of a password that its user chose himself."""
    facts, data = user.facts(), {"user_id": user.id, "username": user.username}
    return NewEvent(action="user.password_set", actor=facts, subject=facts, data=data)
