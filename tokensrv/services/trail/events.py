"""The event log: who did what as whom, appended in the transaction of what it describes.

Order is total and without gaps: whoever appends locks the head row first and does nothing
after it but insert, so ``seq`` is commit order. Nothing here ever changes or removes a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from tokensrv.clock import Clock, utcnow
from tokensrv.domain.caller import Caller
from tokensrv.domain.facts import UserFacts
from tokensrv.domain.secret import masked
from tokensrv.lookup.eviction import is_harmless
from tokensrv.services.freshness import LAST_SEQ
from tokensrv.services.trail.appending import extend


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a change comes from. ``caller`` None: the command line or a client.

    ``needs`` is the scope that the caller was let in for, None for none in particular.
    """

    caller: Caller | None = None
    ip: str | None = None
    request_id: str | None = None
    client_id: str | None = None
    via: str | None = None
    needs: str | None = None

    @property
    def actor(self) -> UserFacts | None:
        """Return who really acts."""
        return None if self.caller is None else self.caller.actor

    @property
    def subject(self) -> UserFacts | None:
        """Return as whom."""
        return None if self.caller is None else self.caller.subject

    @property
    def is_admin(self) -> bool:
        """Return whether this may do what only admins may; the command line may."""
        return self.caller is None or self.caller.subject.is_admin


COMMAND_LINE = Origin(via="cli")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """What happened; actor and subject are the origin's unless they are given here."""

    action: str
    token_id: int | None = None
    client_id: str | None = None
    actor: UserFacts | None = None
    subject: UserFacts | None = None
    reason: str | None = None
    data: dict[str, Any] = field(default_factory=dict)


def append(session: Session, clock: Clock, origin: Origin, events: Sequence[NewEvent]) -> int:
    """Append events as the last statements of a transaction; returns the last ``seq``."""
    return append_each(session, clock, [(origin, new) for new in events])


def append_each(session: Session, clock: Clock, events: Sequence[tuple[Origin, NewEvent]]) -> int:
    """Append events of several origins, as ``append`` does."""
    return append_described(session, clock, [described(origin, new) for origin, new in events])


def append_described(session: Session, clock: Clock, rows: Sequence[dict[str, Any]]) -> int:
    """Append what ``described`` has returned, as ``append`` does."""
    session.flush()
    at = utcnow(clock)
    seq = extend(session, [{"at": at, **row} for row in rows])
    if not all(is_harmless(row["action"]) for row in rows):
        # Whoever waits for this change needs it after the commit.
        session.info[LAST_SEQ] = seq
    return seq


def described(origin: Origin, new: NewEvent) -> dict[str, Any]:
    """Return the columns of an event that say what happened; JSON holds them as well."""
    actor, subject = new.actor or origin.actor, new.subject or origin.subject
    reason = origin.caller.reason if origin.caller and new.reason is None else new.reason
    return {
        "action": new.action,
        "actor_id": actor.id if actor else None,
        "actor": actor.username if actor else None,
        "subject_id": subject.id if subject else None,
        "subject": subject.username if subject else None,
        "token_id": new.token_id,
        "client_id": new.client_id or origin.client_id,
        "ip": origin.ip,
        "request_id": origin.request_id,
        # People paste secrets where a name or a reason belongs; the log is for good.
        "reason": masked(reason),
        "data": masked(new.data) | ({"via": origin.via} if origin.via else {}),
    }
