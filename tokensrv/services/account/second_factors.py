"""Second factors: what a user has to prove beside his password, all kinds together.

It owns the count of them and their removal by an admin. Each kind has its own module: ``totp``,
``passkeys`` and ``recovery_codes``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import delete, exists, func, select
from sqlalchemy.orm import Session

from tokensrv.db import Store
from tokensrv.models import Passkey, RecoveryCode, Totp, WebSession
from tokensrv.services.account import sessions
from tokensrv.services.account.sessions import Current, NewSession
from tokensrv.services.authority import confirm, refuse_minting, refuse_sudo, require_admin
from tokensrv.services.trail.events import NewEvent, Origin, append


@dataclass(frozen=True, slots=True)
class SecondFactors:
    """What a user has. Recovery codes stand in for the others and are none by themselves."""

    has_totp: bool
    passkeys: int
    recovery_left: int

    @property
    def has_any(self) -> bool:
        """Return whether a password alone is not enough."""
        return self.has_totp or self.passkeys > 0


@dataclass(frozen=True, slots=True)
class FactorsChanged:
    """The session under its new cookie, and the recovery codes that were made: shown only now."""

    session: NewSession
    recovery_codes: tuple[str, ...] = field(default=(), repr=False)


def of(session: Session, user_id: int) -> SecondFactors:
    """Return what a user has, within a transaction."""
    totp = exists().where(Totp.user_id == user_id, Totp.confirmed_at.is_not(None))
    passkeys = select(func.count()).where(Passkey.user_id == user_id).scalar_subquery()
    codes = select(func.count()).where(RecoveryCode.user_id == user_id).scalar_subquery()
    has_totp, passkey_count, code_count = session.execute(select(totp, passkeys, codes)).one()
    return SecondFactors(bool(has_totp), passkey_count, code_count)


def get(store: Store, user_id: int) -> SecondFactors:
    """Return what a user has; somebody who does not exist has nothing."""
    with store.read() as session:
        return of(session, user_id)


def remove_all(store: Store, origin: Origin, user_id: int) -> bool:
    """Remove every second factor of a user who has lost them; False when he had none.

    Raises NotFound, Forbidden, Refused.
    """
    refuse_sudo(origin)
    with store.write() as session:
        locked = confirm(session, store, origin, users=[user_id])
        require_admin(locked)
        user = locked.user(user_id)
        if not of(session, user_id).has_any:
            return False
        for model in (Totp, Passkey, RecoveryCode):
            session.execute(delete(model).where(model.user_id == user_id))
        data = {"user_id": user.id, "username": user.username}
        append(session, store.clock, origin, [NewEvent(action="second_factor.reset", data=data)])
        return True


def hold(session: Session, store: Store, origin: Origin, current: Current) -> WebSession:
    """Lock the caller and his session, to change his second factors; returns the session.

    Raises Forbidden for whoever acts as somebody else, NotFound, Refused.
    """
    refuse_minting(origin)
    confirm(session, store, origin)
    return sessions.lock(session, store, current.session.id)
