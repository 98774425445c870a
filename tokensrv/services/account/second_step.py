"""The second step: a second factor proven, at sign-in or anew, by a code or with a passkey.

It joins what the kinds of factors verify with the session that moves on (``signing_in``).
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.orm import Session

from tokensrv.db import Store
from tokensrv.errors import NotFound
from tokensrv.models import User, WebSession
from tokensrv.services.account import second_factors, sessions, signing_in, throttle
from tokensrv.services.account.factors import codes, passkeys, recovery_codes
from tokensrv.services.account.proof import Denied, Reason, logged
from tokensrv.services.account.sessions import Browser, Current, NewSession, Stage
from tokensrv.services.authority import confirm, refuse_sudo
from tokensrv.services.trail.events import Origin

# Takes what was given, if it is right, and returns by which method; None: it is not.
Take = Callable[[Session, WebSession], str | None]


def verify_code(
    store: Store, origin: Origin, current: Current, code: str, browser: Browser
) -> NewSession | Denied:
    """Take a code of an app, or a recovery code; returns the session under its new cookie.

    Raises Forbidden, NotFound (the session asks for nothing such), KeyUnavailable, Refused,
    StorageUnavailable.
    """
    refuse_sudo(origin)
    budgets = throttle.for_code(store, current.user.id, browser.ip)
    if (spent := throttle.take(store, budgets)) is not None:
        return _denied(Denied.by(spent), current)

    def take(session: Session, row: WebSession) -> str | None:
        method = codes.take(session, store, row.user_id, code)
        if method is not None:
            throttle.forgive(session, budgets)
        return method

    return _verify(store, origin, current, take)


def verify_passkey(
    store: Store, origin: Origin, current: Current, answer: str
) -> NewSession | Denied:
    """Take what a passkey signed, as JSON; returns the session under its new cookie.

    It cannot be guessed, so that nothing is counted. Raises Forbidden, NotFound, Refused,
    StorageUnavailable.
    """
    refuse_sudo(origin)

    def take(session: Session, row: WebSession) -> str | None:
        return passkeys.METHOD if passkeys.take(session, store, row, answer) else None

    return _verify(store, origin, current, take)


def _verify(store: Store, origin: Origin, current: Current, take: Take) -> NewSession | Denied:
    with store.write() as session:
        user, row = _held(session, store, origin, current)
        method = take(session, row)
        if method is None:
            return _denied(Denied(Reason.WRONG), current)
        events = [recovery_codes.used(user)] if method == codes.RECOVERY else []
        return signing_in.complete(session, store, origin, row, user, method=method, events=events)


def _denied(denied: Denied, current: Current) -> Denied:
    return logged(denied, current.user.id, what="second_factor")


def _held(
    session: Session, store: Store, origin: Origin, current: Current
) -> tuple[User, WebSession]:
    """Lock a user and his session, which waits for a second factor or may be asked for it anew."""
    user = confirm(session, store, origin, users=[current.user.id]).user(current.user.id)
    row = sessions.lock(session, store, current.session.id)
    if user.state not in sessions.MAY_SIGN_IN or row.stage == Stage.PASSWORD:
        raise NotFound("Session", row.id)
    if not second_factors.of(session, user.id).has_any:
        # An admin has removed them meanwhile, and a code that is left over proves nothing.
        raise NotFound("Second factor")
    return user, row
