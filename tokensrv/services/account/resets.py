"""Reset links: with one an admin lets a user set a new password whom he has forgotten.

An admin starts it and never learns the password. The link's code stands behind the ``#`` of its
address, which no browser sends to any server. It works once, for an hour; it neither signs in nor
touches second factors.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain.facts import UserState
from tokensrv.domain.secret import digest
from tokensrv.errors import Invalid
from tokensrv.models import PasswordReset, User
from tokensrv.services.account.own_password import password_set, replace_password
from tokensrv.services.authority import confirm, refuse_minting, require_admin
from tokensrv.services.directory import passwords
from tokensrv.services.trail.events import NewEvent, Origin, append

LIFETIME: Final = timedelta(hours=1)
PATH: Final = "/users/password/reset"


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link just made: the one place where its code exists."""

    secret: str = field(repr=False)
    expires_at: datetime

    def address(self, settings: Settings) -> str:
        """Return the address to hand to its user."""
        return f"{settings.external_url}{PATH}#{self.secret}"


def make(store: Store, origin: Origin, user_id: int) -> NewLink:
    """Make a link for a user; one made before works no more.

    Raises NotFound, Forbidden, Refused.
    """
    refuse_minting(origin)
    secret, now = secrets.token_urlsafe(32), utcnow(store.clock)
    with store.write() as session:
        locked = confirm(session, store, origin, users=[user_id])
        require_admin(locked)
        user = locked.user(user_id)
        row = session.get(PasswordReset, user_id) or PasswordReset(user_id=user_id)
        row.digest, row.created_at, row.expires_at = digest(secret), now, now + LIFETIME
        session.add(row)
        data = {"user_id": user.id, "username": user.username}
        append(session, store.clock, origin, [NewEvent(action="password_reset.made", data=data)])
        return NewLink(secret, row.expires_at)


def use(store: Store, origin: Origin, code: str, new: str) -> None:
    """Set the password of whom a link was made for, which ends all his sessions.

    Raises InvalidRecord (``password``; the link can still be used), StorageUnavailable, Invalid
    (``code``): it is unknown, used or too old, or its user is not active, and which is not said.
    """
    with store.read() as session:
        # Whoever tries codes has no hash computed for him.
        user_id = _get(session, _alive(store, code)).user_id
    stored = passwords.store_form(new)
    with store.write() as session:
        user = confirm(session, store, origin, users=[user_id]).users.get(user_id)
        link = _get(session, _alive(store, code).with_for_update())
        if user is None or link.user_id != user.id or user.state != UserState.ACTIVE:
            raise _unknown()
        replace_password(session, store, user, new, stored, but=None)
        append(session, store.clock, origin, [_by_link(user)])


def _alive(store: Store, code: str) -> Select[PasswordReset]:
    # Pasted codes come with blanks around them, or with the whole address before them.
    bare = code.strip().rpartition("#")[2]
    is_it = PasswordReset.digest == digest(bare)
    return select(PasswordReset).where(is_it, PasswordReset.expires_at > utcnow(store.clock))


def _get(session: Session, query: Select[PasswordReset]) -> PasswordReset:
    found = session.scalars(query).first()
    if found is None:
        raise _unknown()
    return found


def _unknown() -> Invalid:
    return Invalid("code", "is not valid: it was used, is older than an hour, or was replaced")


def _by_link(user: User) -> NewEvent:
    event = password_set(user)
    event.data["by"] = "reset link"
    return event
