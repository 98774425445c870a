"""Recovery codes: each stands in once for a second factor whose device is lost.

Whoever has a second factor has codes, made with the first factor and gone with the last. A code
carries 120 random bits, so that a plain digest of it is enough (OWASP ASVS 5.0 §6.5.2).
"""

from __future__ import annotations

import base64
import re
import secrets
from typing import Final

from sqlalchemy import delete
from sqlalchemy.orm import Session

from tokensrv.db import Store
from tokensrv.domain.secret import digest
from tokensrv.errors import NotFound
from tokensrv.models import RecoveryCode, User, WebSession
from tokensrv.services.account import second_factors, sessions
from tokensrv.services.account.second_factors import FactorsChanged
from tokensrv.services.account.sessions import Current
from tokensrv.services.trail.events import NewEvent, Origin, append

COUNT: Final = 10
# Base32 has no letter that looks like another in lower case, and 15 bytes need no padding.
_BYTES: Final = 15
_GROUPS: Final = re.compile(r".{4}")
_NO_LETTER: Final = re.compile(r"[^a-z2-7]")


def regenerate(store: Store, origin: Origin, current: Current) -> FactorsChanged:
    """Replace the codes of a user who has a second factor; those before count no more.

    Raises NotFound (he has none), Forbidden, Refused.
    """
    with store.write() as session:
        row = second_factors.hold(session, store, origin, current)
        if not second_factors.of(session, row.user_id).has_any:
            raise NotFound("Second factor")
        codes = _replace(session, row.user_id)
        return _changed(session, store, origin, row, [_made(row)], codes)


def follow(
    session: Session, store: Store, origin: Origin, row: WebSession, event: NewEvent
) -> FactorsChanged:
    """Complete a change of the second factors of the session's user, codes and cookie included."""
    session.flush()
    factors = second_factors.of(session, row.user_id)
    if not factors.has_any:
        _remove(session, row.user_id)
        return _changed(session, store, origin, row, [event])
    if factors.recovery_left > 0:
        return _changed(session, store, origin, row, [event])
    codes = _replace(session, row.user_id)
    return _changed(session, store, origin, row, [event, _made(row)], codes)


def take(session: Session, user_id: int, code: str) -> bool:
    """Use a code up, written in any case and with any marks between; False when it is none.

    Of two who use it at once the database lets one delete it.
    """
    wanted = RecoveryCode.user_id == user_id, RecoveryCode.digest == digest(_bare(code))
    result = session.execute(delete(RecoveryCode).where(*wanted))
    return bool(result.rowcount)  # type: ignore[attr-defined]  # a deletion's result has it


def used(user: User) -> NewEvent:
    """Return the event of a code that was used up: whoever did not do it should see it."""
    facts, data = user.facts(), {"user_id": user.id}
    return NewEvent(action="recovery_code.used", actor=facts, subject=facts, data=data)


def _replace(session: Session, user_id: int) -> tuple[str, ...]:
    _remove(session, user_id)
    codes = tuple(_generate() for _ in range(COUNT))
    session.add_all(RecoveryCode(user_id=user_id, digest=digest(_bare(code))) for code in codes)
    return codes


def _remove(session: Session, user_id: int) -> None:
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))


def _changed(
    session: Session,
    store: Store,
    origin: Origin,
    row: WebSession,
    events: list[NewEvent],
    codes: tuple[str, ...] = (),
) -> FactorsChanged:
    changed = FactorsChanged(sessions.renew(session, store, row), codes)
    append(session, store.clock, origin, events)
    return changed


def _made(row: WebSession) -> NewEvent:
    return NewEvent(action="recovery_codes.made", data={"user_id": row.user_id})


def _generate() -> str:
    letters = base64.b32encode(secrets.token_bytes(_BYTES)).decode().lower()
    return "-".join(_GROUPS.findall(letters))


def _bare(code: str) -> str:
    return _NO_LETTER.sub("", code.lower())
