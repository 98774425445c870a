"""Authenticator apps: codes that change every 30 seconds (RFC 6238).

The shared secret is sealed under the master key, since codes are computed from it. It is shown
until its user has confirmed it with a first code, and never again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import pyotp
from pyotp.exceptions import OTPVerificationError
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.errors import Forbidden, Invalid, NotFound
from tokensrv.models import Totp
from tokensrv.services.account.factors import recovery_codes
from tokensrv.services.account.second_factors import FactorsChanged, hold
from tokensrv.services.account.sessions import Current
from tokensrv.services.keys import master_key
from tokensrv.services.trail.events import NewEvent, Origin

METHOD: Final = "totp"
_ISSUER: Final = "tokensrv"
# Steps that a clock may be ahead or behind (RFC 6238 §5.2).
_WINDOW: Final = 1
_CODE: Final = re.compile(r"[0-9]{6}")


@dataclass(frozen=True, slots=True)
class TotpSetup:
    """What an app needs: the secret, and the address of the same that a QR code holds."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


def begin(store: Store, origin: Origin, current: Current) -> TotpSetup:
    """Make a secret for the caller's app; one that was not confirmed before counts no more.

    Raises Forbidden (he has an app, or acts as somebody else), KeyUnavailable, Refused.
    """
    secret = pyotp.random_base32()
    sealed = _sealed(store, secret)
    with store.write() as session:
        row = hold(session, store, origin, current)
        known = session.get(Totp, row.user_id)
        if known is not None and known.confirmed_at is not None:
            raise Forbidden("Remove your authenticator app before you set up another one.")
        if known is None:
            known = Totp(user_id=row.user_id)
            session.add(known)
        known.secret_encrypted, known.created_at = sealed, utcnow(store.clock)
        return _setup(store, current, secret)


def pending(store: Store, current: Current) -> TotpSetup | None:
    """Return what the caller has not confirmed yet, None when there is nothing such.

    Raises KeyUnavailable.
    """
    wanted = Totp.user_id == current.user.id, Totp.confirmed_at.is_(None)
    with store.read() as session:
        row = session.scalars(select(Totp).where(*wanted)).first()
        return None if row is None else _setup(store, current, _secret(store, row))


def confirm(store: Store, origin: Origin, current: Current, code: str) -> FactorsChanged:
    """Begin to ask for codes at sign-in, now that one shows that the app works.

    Raises Invalid (``code``), NotFound (nothing was begun), Forbidden, KeyUnavailable, Refused.
    """
    with store.write() as session:
        row = hold(session, store, origin, current)
        totp = session.get(Totp, row.user_id)
        if totp is None or totp.confirmed_at is not None:
            raise NotFound("Authenticator app")
        step = _step(store, totp, code)
        if step is None:
            raise Invalid("code", "is not the code that the app shows now")
        totp.confirmed_at, totp.last_step = utcnow(store.clock), step
        event = NewEvent(action="totp.added", data={"user_id": row.user_id})
        return recovery_codes.follow(session, store, origin, row, event)


def remove(store: Store, origin: Origin, current: Current) -> FactorsChanged:
    """Ask for no more codes of the caller's app; raises NotFound, Forbidden, Refused."""
    with store.write() as session:
        row = hold(session, store, origin, current)
        wanted = Totp.user_id == row.user_id, Totp.confirmed_at.is_not(None)
        if session.execute(delete(Totp).where(*wanted)).rowcount == 0:  # type: ignore[attr-defined]  # a deletion's result has it
            raise NotFound("Authenticator app")
        event = NewEvent(action="totp.removed", data={"user_id": row.user_id})
        return recovery_codes.follow(session, store, origin, row, event)


def is_code(text: str) -> bool:
    """Return whether this looks like a code of an app, blanks aside."""
    return _CODE.fullmatch(_bare(text)) is not None


def take(session: Session, store: Store, user_id: int, code: str) -> bool:
    """Use a code up, within a transaction; False when it is wrong or an older one than the last.

    No code counts twice, whoever asks, wherever (RFC 6238 §5.2). Raises KeyUnavailable.
    """
    wanted = Totp.user_id == user_id, Totp.confirmed_at.is_not(None)
    totp = session.scalars(select(Totp).where(*wanted)).first()
    step = None if totp is None else _step(store, totp, code)
    if totp is None or step is None:
        return False
    taken = (
        update(Totp)
        .where(*wanted, Totp.last_step < step)
        # Under the first of the master keys: those before it can be given up one day.
        .values(last_step=step, secret_encrypted=_sealed(store, _secret(store, totp)))
    )
    result = session.execute(taken.execution_options(synchronize_session=False))
    return bool(result.rowcount)  # type: ignore[attr-defined]  # an update's result has it


def _step(store: Store, totp: Totp, code: str) -> int | None:
    """Return the time step whose code this is, None when it is none of about now."""
    if not is_code(code):
        return None
    app, seconds = pyotp.TOTP(_secret(store, totp)), store.clock.now_ms() // 1000
    try:
        return app.verify_and_get_timecode(_bare(code), for_time=seconds, valid_window=_WINDOW)
    except OTPVerificationError:
        return None


def _sealed(store: Store, secret: str) -> str:
    return master_key.seal(store.settings, secret.encode())


def _secret(store: Store, totp: Totp) -> str:
    return master_key.unseal(store.settings, totp.secret_encrypted).decode()


def _setup(store: Store, current: Current, secret: str) -> TotpSetup:
    # The host tells an app's entries apart when somebody has an account on several instances.
    name = f"{current.user.username}@{urlsplit(store.settings.external_url).hostname}"
    return TotpSetup(secret, pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=_ISSUER))


def _bare(code: str) -> str:
    return "".join(code.split())
