"""Assertions: each one of a client is good once, on whichever node it arrives (RFC 7523 §3)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.domain.secret import digest
from tokensrv.models import Assertion

# The clocks of two nodes differ: what one has forgotten, another one must not accept any more.
_MARGIN: Final = timedelta(minutes=5)
_PRUNED_AT_ONCE: Final = 100


def use(store: Store, client_id: str, jti: str, expires_at: datetime) -> bool:
    """Remember an assertion as used; False when it was used before. Raises StorageUnavailable.

    ``expires_at`` is the first moment at which nobody accepts it any more.
    """
    row = Assertion(client_id=client_id, jti_digest=digest(jti), expires_at=expires_at + _MARGIN)
    try:
        with store.write() as session:
            _prune(session, utcnow(store.clock))
            session.add(row)
    except IntegrityError:
        return False
    return True


def _prune(session: Session, now: datetime) -> None:
    """Remove some that have expired: more than are added, and none that another node removes."""
    key = (Assertion.client_id, Assertion.jti_digest)
    expired = (
        select(*key)
        .where(Assertion.expires_at <= now)
        .limit(_PRUNED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    # Found first: within the deletion, PostgreSQL may find as many anew for each row.
    found = [tuple(row) for row in session.execute(expired)]
    if found:
        session.execute(delete(Assertion).where(tuple_(*key).in_(found)))
