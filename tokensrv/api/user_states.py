"""States of users, as admins change them: GitLab answers 201 with ``true``, ``false``, ``null``.

``true``: it was done. What says that nothing was to be done differs from verb to verb.
"""

from __future__ import annotations

from typing import Any, Final

from flask import jsonify
from flask.typing import ResponseReturnValue

from tokensrv.api import users
from tokensrv.http.answers import forbidden
from tokensrv.http.context import caller, origin, store
from tokensrv.services.directory import user_states

# The users' own blueprint, which is whole when this module has been read.
bp = users.bp

_ANSWER: Final = {"type": ["boolean", "null"]}


@bp.verb("POST", "/users/<id:user_id>/block", gives=_ANSWER, status=201, fails={404})
def block(user_id: int) -> ResponseReturnValue:
    """Block a user; null when he was blocked already. Admins only."""
    if user_id == caller().subject.id:
        raise forbidden("The API initiating user cannot be blocked by the API")
    return _done(is_changed=user_states.block(store(), origin(), user_id), otherwise=None)


@bp.verb("POST", "/users/<id:user_id>/unblock", gives=_ANSWER, status=201, fails={404})
def unblock(user_id: int) -> ResponseReturnValue:
    """Unblock a user; false when he was not blocked. Admins only."""
    return _done(is_changed=user_states.unblock(store(), origin(), user_id), otherwise=False)


@bp.verb("POST", "/users/<id:user_id>/activate", gives=_ANSWER, status=201, fails={404})
def activate(user_id: int) -> ResponseReturnValue:
    """Activate a deactivated user; true when he is active afterwards. Admins only."""
    return _done(is_changed=user_states.activate(store(), origin(), user_id), otherwise=True)


@bp.verb("POST", "/users/<id:user_id>/deactivate", gives=_ANSWER, status=201, fails={404})
def deactivate(user_id: int) -> ResponseReturnValue:
    """Deactivate a user; null when he was already. Admins only."""
    return _done(is_changed=user_states.deactivate(store(), origin(), user_id), otherwise=None)


@bp.verb("POST", "/users/<id:user_id>/ban", gives=_ANSWER, status=201, fails={404})
def ban(user_id: int) -> ResponseReturnValue:
    """Ban an active user. Admins only."""
    return _done(is_changed=user_states.ban(store(), origin(), user_id), otherwise=None)


@bp.verb("POST", "/users/<id:user_id>/unban", gives=_ANSWER, status=201, fails={404})
def unban(user_id: int) -> ResponseReturnValue:
    """Unban a banned user. Admins only."""
    return _done(is_changed=user_states.unban(store(), origin(), user_id), otherwise=None)


def _done(*, is_changed: bool, otherwise: Any) -> ResponseReturnValue:
    return jsonify(True if is_changed else otherwise), 201
