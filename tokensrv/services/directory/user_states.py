"""States of users: active, blocked, deactivated, banned, and who is an admin.

Every verb returns whether it changed something. Whoever is not active can do nothing, all his
tokens are inactive and his sessions are over, from the moment that the verb returns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.domain.facts import UserState
from tokensrv.errors import Forbidden
from tokensrv.models import User
from tokensrv.services.account.sessions import end_all
from tokensrv.services.authority import confirm, require_admin
from tokensrv.services.directory.users import refuse_losing_admin
from tokensrv.services.freshness import settled
from tokensrv.services.trail.events import NewEvent, Origin, append

ACTIVE, BLOCKED = UserState.ACTIVE, UserState.BLOCKED
DEACTIVATED, BANNED = UserState.DEACTIVATED, UserState.BANNED


@dataclass(frozen=True, slots=True)
class Transition:
    """A verb: from which states to which one; in ``refused`` ones it says why not."""

    action: str
    sources: frozenset[str]
    state: UserState
    refused: dict[str, str]


_BLOCK = Transition(
    "user.blocked",
    frozenset({ACTIVE, DEACTIVATED}),
    BLOCKED,
    {BANNED: "Banned users cannot be blocked by the API"},
)
_UNBLOCK = Transition(
    "user.unblocked",
    frozenset({BLOCKED}),
    ACTIVE,
    {DEACTIVATED: "Deactivated users cannot be unblocked by the API"},
)
_ACTIVATE = Transition(
    "user.activated",
    frozenset({DEACTIVATED}),
    ACTIVE,
    {
        BLOCKED: "A blocked user must be unblocked to be activated",
        BANNED: "A banned user must be unbanned to be activated",
    },
)
_DEACTIVATE = Transition(
    "user.deactivated",
    frozenset({ACTIVE}),
    DEACTIVATED,
    {
        BLOCKED: "A blocked user cannot be deactivated by the API",
        BANNED: "A banned user cannot be deactivated by the API",
    },
)
_BAN = Transition(
    "user.banned",
    frozenset({ACTIVE}),
    BANNED,
    {
        BLOCKED: "You cannot ban blocked users",
        DEACTIVATED: "You cannot ban deactivated users",
        BANNED: "You cannot ban banned users",
    },
)
_UNBAN = Transition(
    "user.unbanned",
    frozenset({BANNED}),
    ACTIVE,
    {
        ACTIVE: "You cannot unban active users",
        BLOCKED: "You cannot unban blocked users",
        DEACTIVATED: "You cannot unban deactivated users",
    },
)


_TRANSITIONS: Final = {
    "block": _BLOCK,
    "unblock": _UNBLOCK,
    "activate": _ACTIVATE,
    "deactivate": _DEACTIVATE,
    "ban": _BAN,
    "unban": _UNBAN,
}


def possible(state: str) -> tuple[str, ...]:
    """Return the names of the verbs that would change a user who is in this state."""
    return tuple(name for name, transition in _TRANSITIONS.items() if state in transition.sources)


def block(store: Store, origin: Origin, user_id: int) -> bool:
    """Block a user; False when he was blocked already. Raises NotFound, Forbidden, Refused."""
    return _move(store, origin, user_id, _BLOCK)


def unblock(store: Store, origin: Origin, user_id: int) -> bool:
    """Unblock a user; False when he was not blocked. Raises NotFound, Forbidden, Refused."""
    return _move(store, origin, user_id, _UNBLOCK)


def activate(store: Store, origin: Origin, user_id: int) -> bool:
    """Activate a user; False when he was active. Raises NotFound, Forbidden, Refused."""
    return _move(store, origin, user_id, _ACTIVATE)


def deactivate(store: Store, origin: Origin, user_id: int) -> bool:
    """Deactivate a user; False when he was already. Raises NotFound, Forbidden, Refused."""
    return _move(store, origin, user_id, _DEACTIVATE)


def ban(store: Store, origin: Origin, user_id: int) -> bool:
    """Ban an active user. Raises NotFound, Forbidden, Refused."""
    return _move(store, origin, user_id, _BAN)


def unban(store: Store, origin: Origin, user_id: int) -> bool:
    """Unban a banned user. Raises NotFound, Forbidden, Refused."""
    return _move(store, origin, user_id, _UNBAN)


def promote(store: Store, origin: Origin, user_id: int) -> bool:
    """Make a user an admin; False when he was. Raises NotFound, Forbidden, Refused."""
    return _set_admin(store, origin, user_id, is_admin=True)


def demote(store: Store, origin: Origin, user_id: int) -> bool:
    """Make an admin a user; False when he was. Raises NotFound, Forbidden, Refused."""
    return _set_admin(store, origin, user_id, is_admin=False)


def _move(store: Store, origin: Origin, user_id: int, transition: Transition) -> bool:
    takes_away = transition.state is not ACTIVE
    with settled(store) as session:
        locked = confirm(session, store, origin, users=[user_id], every_admin=takes_away)
        require_admin(locked)
        user = locked.user(user_id)
        if user.state in transition.refused:
            raise Forbidden(transition.refused[user.state])
        if takes_away:
            refuse_losing_admin(origin, user, others=locked.other_active_admins(user.id))
        if user.state not in transition.sources:
            return False
        user.state = transition.state.value
        if takes_away:
            end_all(session, user.id)
        _record(session, store, origin, user, transition.action)
        return True


def _set_admin(store: Store, origin: Origin, user_id: int, *, is_admin: bool) -> bool:
    with settled(store) as session:
        locked = confirm(session, store, origin, users=[user_id], every_admin=not is_admin)
        require_admin(locked)
        user = locked.user(user_id)
        if user.is_admin == is_admin:
            return False
        if not is_admin:
            refuse_losing_admin(origin, user, others=locked.other_active_admins(user.id))
        user.is_admin = is_admin
        if is_admin:
            # Whoever knew a cookie before it had this power has nothing of it.
            end_all(session, user.id)
        _record(session, store, origin, user, "user.promoted" if is_admin else "user.demoted")
        return True


def _record(session: Session, store: Store, origin: Origin, user: User, action: str) -> None:
    user.updated_at = utcnow(store.clock)
    data = {"user_id": user.id, "username": user.username}
    append(session, store.clock, origin, [NewEvent(action=action, data=data)])
