"""Submissions: a form that makes something makes it once, however often it is sent.

Each form carries a random value. The verb that makes something claims it in its own transaction,
so that a verb which is refused leaves the form as good as it was.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.domain.secret import digest
from tokensrv.errors import SentTwice
from tokensrv.models import Submission

# Nobody sends a form again after this.
_KEPT: Final = timedelta(days=1)
_PRUNED_AT_ONCE: Final = 100


def new() -> str:
    """Return the value of a new form."""
    return secrets.token_urlsafe(16)


def claim(session: Session, store: Store, user_id: int, submission: str | None) -> None:
    """Claim the form of a user, whose row this transaction holds; raises SentTwice.

    ``submission`` None: what calls is no form.
    """
    if submission is None:
        return
    # The user stands in it as well, so that nobody can claim the form of somebody else.
    found = digest(f"{user_id} {submission}")
    if session.get(Submission, found) is not None:
        raise SentTwice
    now = utcnow(store.clock)
    _prune(session, now)
    session.add(Submission(digest=found, user_id=user_id, created_at=now))


def _prune(session: Session, now: datetime) -> None:
    """Remove some old ones: more than are added, and none that another node removes."""
    old = (
        select(Submission.digest)
        .where(Submission.created_at <= now - _KEPT)
        .limit(_PRUNED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    # Found first: within the deletion, PostgreSQL may find as many anew for each row.
    if found := session.scalars(old).all():
        session.execute(delete(Submission).where(Submission.digest.in_(found)))
