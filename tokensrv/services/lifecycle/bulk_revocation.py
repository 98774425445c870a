"""Bulk revocation: many tokens ended by an admin at once, all of them or none, for one reason."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.domain import texts
from tokensrv.errors import Forbidden, Invalid
from tokensrv.models import Token
from tokensrv.services.authority import confirm, require_admin
from tokensrv.services.freshness import settled
from tokensrv.services.lifecycle.tokens import end, is_own
from tokensrv.services.trail.events import NewEvent, Origin, append

# As many as a page shows: few enough to be locked at once.
MAX_TOKENS: Final = 100


@dataclass(frozen=True, slots=True)
class Ended:
    """How many tokens were revoked, and how many were dead already."""

    revoked: int
    dead: int


def revoke_many(store: Store, origin: Origin, token_ids: Collection[int], reason: str) -> Ended:
    """Revoke these tokens, each with an event of its own; unknown ids count for nothing.

    What was exchanged for one of them dies with it, as ever. Raises Invalid (too many, or no
    reason of at most 255 letters), Forbidden (not an admin, or an impersonation token that would
    revoke itself), Refused, StorageUnavailable.
    """
    if len(token_ids) > MAX_TOKENS:
        raise Invalid("tokens", f"are more than {MAX_TOKENS}")
    texts.check("reason", reason, 255)
    with settled(store) as session:
        # A token never changes its owner, so that this may be read before anything is locked.
        owners = session.scalars(select(Token.user_id).where(Token.id.in_(token_ids)))
        locked = confirm(session, store, origin, users=owners, tokens=token_ids)
        require_admin(locked)
        found = [locked.tokens[token_id] for token_id in sorted(locked.tokens.keys() & token_ids)]
        if any(token.is_impersonation and is_own(locked.caller, token) for token in found):
            raise Forbidden("An impersonation token cannot revoke itself")
        now = utcnow(store.clock)
        alive = [token for token in found if token.is_active(now)]
        events: list[NewEvent] = [end(token, now, reason) for token in alive]
        if events:
            append(session, store.clock, origin, events)
        return Ended(len(alive), len(found) - len(alive))
