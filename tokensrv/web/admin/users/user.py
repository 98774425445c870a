"""A user: who he is, what he has, and what can be done about it."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Blueprint
from flask.typing import ResponseReturnValue

from tokensrv.domain.facts import TokenKind
from tokensrv.http.context import caller, store
from tokensrv.services.account import impersonation, second_factors, sessions
from tokensrv.services.account.second_factors import SecondFactors
from tokensrv.services.directory import user_lists, user_states, users
from tokensrv.services.lifecycle import token_lists
from tokensrv.services.lifecycle.token_lists import TokenFilter
from tokensrv.services.pages import PageRequest
from tokensrv.services.records import UserRecord
from tokensrv.web.admin.users.changes import CHANGES
from tokensrv.web.rendering import page

bp = Blueprint("user", __name__, url_prefix="/admin/users/<id:user_id>")


@bp.get("")
def show(user_id: int) -> ResponseReturnValue:
    """Show a user, with the changes that are possible now."""
    user = users.get(store(), user_id)
    is_self = user.id == caller().subject.id
    factors = second_factors.get(store(), user.id)
    open_sessions = sessions.list_of(store(), user.id)
    possible = () if is_self else _possible(user, factors, has_sessions=bool(open_sessions))
    return page(
        "admin/users/user.html",
        user=user,
        maker=_maker(user),
        factors=factors,
        sessions=open_sessions,
        counts=_counts(user),
        is_self=is_self,
        may_impersonate=impersonation.is_possible(store(), caller().actor, user),
        changes={name: CHANGES[name] for name in possible},
    )


def _possible(user: UserRecord, factors: SecondFactors, *, has_sessions: bool) -> Iterator[str]:
    if has_sessions:
        yield "end_sessions"
    if factors.has_any:
        yield "reset_two_factor"
    yield "demote" if user.is_admin else "promote"
    yield from user_states.possible(user.state)


def _maker(user: UserRecord) -> UserRecord | None:
    ids = set() if user.created_by_id is None else {user.created_by_id}
    return user_lists.users_by_id(store(), ids).get(user.created_by_id or 0)


def _counts(user: UserRecord) -> dict[str, int | None]:
    """Return how many tokens are in use, of all kinds and made for impersonation; None: many."""
    wanted = {
        "tokens": TokenFilter(user_id=user.id, is_active=True),
        "impersonation_tokens": TokenFilter(
            user_id=user.id, is_active=True, kind=TokenKind.IMPERSONATION
        ),
    }
    return {
        name: token_lists.list_tokens(store(), caller(), found, page=PageRequest(1, 1)).total
        for name, found in wanted.items()
    }
