"""Impersonation: who a web session is in which an admin acts as another user.

It owns that one decision; the sessions themselves are ``services.account``. What such a caller may
not make is what sudo may not (``domain.caller.Caller.is_lent``).
"""

from __future__ import annotations

from functools import partial

from tokensrv.domain.caller import REASON_LENGTH, Caller, Check, Refusal, SudoPolicy
from tokensrv.domain.facts import UserFacts, UserState


def impersonate(
    actor: UserFacts | None, target: UserFacts | None, reason: str, *, policy: SudoPolicy
) -> Caller | Refusal:
    """Return the caller of a web session in which an admin acts as another user.

    The checks are those of sudo, in its order, but for those of the token; a reason is always
    asked for. What it may not make is what sudo may not.
    """
    if actor is None:
        return Refusal(Check.UNKNOWN)
    if actor.state != UserState.ACTIVE:
        return Refusal(Check.OWNER, actor=actor)
    refuse = partial(Refusal, actor=actor, target=target)
    if not actor.is_admin:
        return refuse(Check.ADMIN)
    if target is None:
        return refuse(Check.TARGET)
    if target.state != UserState.ACTIVE:
        return refuse(Check.TARGET_STATE)
    if target.is_admin and not policy.admin_targets:
        return refuse(Check.TARGET_ADMIN)
    if not 1 <= len(reason) <= REASON_LENGTH:
        return refuse(Check.REASON)
    return Caller(actor, target, None, (), is_sudo=True, reason=reason)
