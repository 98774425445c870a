"""Codes: what a user types to prove a second factor, of his app or a recovery code.

Both go into the same field, since they cannot be mistaken for each other.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy.orm import Session

from tokensrv.db import Store
from tokensrv.services.account.factors import recovery_codes, totp

RECOVERY: Final = "recovery"


def take(session: Session, store: Store, user_id: int, code: str) -> str | None:
    """Use a code up, within a transaction; returns how it was proven, None when it is wrong.

    The method is ``totp`` or ``recovery``, of which ``recovery_codes.used`` is the event. Raises
    KeyUnavailable.
    """
    if totp.is_code(code):
        return totp.METHOD if totp.take(session, store, user_id, code) else None
    return RECOVERY if recovery_codes.take(session, user_id, code) else None
