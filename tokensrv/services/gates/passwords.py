"""Passwords at gates: the account's own, where nothing better is asked for.

Only Git takes one, and only while it is all that its user needs to sign in: with a second factor,
a token is needed. What an attempt costs is the same as everywhere (``services.account.proof``).
"""

from __future__ import annotations

from tokensrv.db import Store
from tokensrv.domain.caller import Caller, Check, Refusal, decide
from tokensrv.domain.facts import UserFacts, UserState
from tokensrv.domain.gates import Entry, NoEntry, Obstacle
from tokensrv.models import User
from tokensrv.services.account import proof, second_factors
from tokensrv.services.account.proof import Denied, Proof, Reason
from tokensrv.services.authority import confirm, policy
from tokensrv.services.gates import turned_away
from tokensrv.services.gates.entry import record_sudo
from tokensrv.services.gates.visit import Visit
from tokensrv.services.metering.metrics import Metrics
from tokensrv.services.trail.usage import Usage


def enter(
    store: Store,
    usage: Usage,
    visit: Visit,
    login: str,
    password: str,
    *,
    metrics: Metrics | None = None,
) -> Entry | NoEntry:
    """Return who enters with the password of his account, which holds what ``api`` holds.

    With a password nobody acts as somebody else. Whoever enters is not counted yet: something
    behind this may still refuse him. Raises StorageUnavailable.
    """
    proven = proof.of_login(store, login, password, visit.origin.ip)
    found = _denied(proven) if isinstance(proven, Denied) else _owner(store, visit, proven)
    if isinstance(found, UserFacts):
        judgement = _judged(store, found, visit)
        if isinstance(judgement, Caller):
            return Entry(judgement)
        record_sudo(store, usage, visit, judgement)
        found = NoEntry.by(judgement)
    return turned_away.record(store, usage, visit, found, metrics=metrics)


def _judged(store: Store, user: UserFacts, visit: Visit) -> Caller | Refusal:
    decision = decide(
        None,
        user,
        visit.ask,
        None,
        now_ms=store.clock.now_ms(),
        policy=policy(store),
        remote_ip=visit.origin.ip,
        is_session=True,
    )
    return decision if isinstance(decision, Refusal) else decision._replace(scopes=("api",))


def _denied(denied: Denied) -> NoEntry:
    if denied.reason is Reason.TOO_MANY:
        return NoEntry(Obstacle.TOO_MANY, retry_after_seconds=denied.retry_after_seconds)
    return NoEntry(Obstacle.PASSWORD)


def _owner(store: Store, visit: Visit, proven: Proof) -> UserFacts | NoEntry:
    """Return whose password was right, if that is enough."""
    with store.write() as session:
        user = confirm(session, store, visit.origin, users=[proven.user_id]).users.get(
            proven.user_id
        )
        if not proof.accept(session, user, proven) or user is None:
            return NoEntry(Obstacle.PASSWORD)
        has_second_factor = second_factors.of(session, user.id).has_any
        obstacle = _obstacle(user, has_second_factor=has_second_factor)
        return user.facts() if obstacle is None else NoEntry(obstacle, user=user.facts())


def _obstacle(user: User, *, has_second_factor: bool) -> Check | Obstacle | None:
    if user.state != UserState.ACTIVE:
        return Check.OWNER
    if has_second_factor:
        return Obstacle.SECOND_FACTOR
    return Obstacle.PASSWORD_EXPIRED if user.password_expired else None
