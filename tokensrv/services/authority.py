"""Authority: what a verb locks and checks again before it changes anything.

The edge decided on facts that may be a moment old. Here, inside the verb's own transaction, the
rows are locked (users first, then tokens, each by ascending id, so that no two verbs can wait
for each other) and the same decision is made again on what is true now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, or_, select
from sqlalchemy.orm import Session

from tokensrv.db import Store
from tokensrv.domain.caller import (
    Caller,
    Refusal,
    Refused,
    SudoAsk,
    SudoPolicy,
    decide,
)
from tokensrv.domain.facts import ExchangeFacts, TokenKind, UserState
from tokensrv.domain.impersonation import impersonate
from tokensrv.domain.scopes import missing
from tokensrv.domain.usernames import Target
from tokensrv.errors import Forbidden, NotFound, ScopesNotHeld, Stale
from tokensrv.models import Token, User
from tokensrv.services.trail.events import Origin

# Every verb begins with these two, so they are put together once and not each time.
_IS_GIVEN = User.id.in_(bindparam("ids", expanding=True))
_USERS = select(User).order_by(User.id).with_for_update()
_GIVEN_USERS = _USERS.where(_IS_GIVEN)
_GIVEN_TOKENS = (
    select(Token)
    .where(Token.id.in_(bindparam("ids", expanding=True)))
    .order_by(Token.id)
    .with_for_update()
    # A verb may have read the token already, to learn its owner: that row was not locked.
    .execution_options(populate_existing=True)
)


@dataclass(frozen=True, slots=True)
class Locked:
    """The rows that this transaction holds, and who calls as it sees him; None: nobody does."""

    caller: Caller | None = None
    users: dict[int, User] = field(default_factory=dict)
    tokens: dict[int, Token] = field(default_factory=dict)

    def user(self, user_id: int) -> User:
        """Return a locked user; raises NotFound."""
        if user_id not in self.users:
            raise NotFound("User", user_id)
        return self.users[user_id]

    def token(self, token_id: int) -> Token:
        """Return a locked token; raises NotFound."""
        if token_id not in self.tokens:
            raise NotFound("Token", token_id)
        return self.tokens[token_id]

    def other_active_admins(self, user_id: int) -> bool:
        """Return whether an admin beside this user is left; needs ``every_admin``."""
        return any(
            user.is_admin and user.state == UserState.ACTIVE and user.id != user_id
            for user in self.users.values()
        )


def policy(store: Store) -> SudoPolicy:
    """Return the instance's policy for sudo."""
    settings = store.settings
    return SudoPolicy(settings.sudo_admin_targets, settings.sudo_reason_required)


def confirm(
    session: Session,
    store: Store,
    origin: Origin,
    *,
    users: Iterable[int] = (),
    tokens: Iterable[int] = (),
    every_admin: bool = False,
    made_by: int | None = None,
) -> Locked:
    """Lock these rows and the caller's own, and decide again who calls as whom.

    ``made_by``: lock the users whom this one had made, too. Returns the locked rows; those that
    do not exist are simply not among them. Raises Refused when the caller's credential, or his
    sudo, is not good any more, ScopesNotHeld when he lost the scope that he was let in for.
    """
    callers = () if origin.caller is None else (origin.caller,)
    user_ids, token_ids = _their_rows(session, callers)
    held_users = _lock_users(
        session, user_ids | set(users), every_admin=every_admin, made_by=made_by
    )
    held_tokens = _lock_tokens(session, token_ids | set(tokens))
    if origin.caller is None:
        return Locked(None, held_users, held_tokens)
    decision = _again(store, origin.caller, held_users, held_tokens)
    if isinstance(decision, Refusal):
        raise Refused(decision)
    _require_scope(decision, origin.needs)
    return Locked(decision, held_users, held_tokens)


def decide_again(
    session: Session, store: Store, callers: Sequence[Caller]
) -> list[Caller | Refusal]:
    """Lock the rows of all these callers and return, in order, what each of them is now."""
    user_ids, token_ids = _their_rows(session, callers)
    users = _lock_users(session, user_ids)
    tokens = _lock_tokens(session, token_ids)
    return [_again(store, caller, users, tokens) for caller in callers]


def require_admin(locked: Locked) -> None:
    """Raise Forbidden unless the subject is an admin now (the command line is)."""
    if locked.caller is not None and not locked.caller.subject.is_admin:
        raise Forbidden


def refuse_stale(updated_at: datetime, unmodified_since: datetime | None) -> None:
    """Raise Stale when a row was changed after a moment of whole seconds, as HTTP has them."""
    if unmodified_since is not None and updated_at.replace(microsecond=0) > unmodified_since:
        raise Stale


def refuse_sudo(origin: Origin) -> None:
    """Raise Forbidden for a caller who acts as somebody else, or with an exchanged token."""
    if origin.caller is not None and origin.caller.is_lent:
        raise Forbidden("Not allowed while using sudo")


def refuse_minting(origin: Origin) -> None:
    """Raise Forbidden for a caller who must never make a credential: it would outlive his own."""
    refuse_sudo(origin)
    token = None if origin.caller is None else origin.caller.token
    if token is not None and token.kind != TokenKind.PERSONAL:
        raise Forbidden


def _lock_users(
    session: Session,
    ids: set[int],
    *,
    every_admin: bool = False,
    made_by: int | None = None,
) -> dict[int, User]:
    if not ids and not every_admin:
        return {}
    others: list[ColumnElement[bool]] = []
    if every_admin:
        others.append(User.is_admin & (User.state == UserState.ACTIVE.value))
    if made_by is not None:
        others.append(User.created_by_id == made_by)
    query = _USERS.where(or_(_IS_GIVEN, *others)) if others else _GIVEN_USERS
    return {user.id: user for user in session.scalars(query, {"ids": list(ids)})}


def _lock_tokens(session: Session, ids: set[int]) -> dict[int, Token]:
    if not ids:
        return {}
    return {token.id: token for token in session.scalars(_GIVEN_TOKENS, {"ids": list(ids)})}


def _their_rows(session: Session, callers: Sequence[Caller]) -> tuple[set[int], set[int]]:
    """Return the users and the tokens on which these callers depend."""
    users = {user.id for caller in callers for user in (caller.actor, caller.subject)}
    presented = [caller.token for caller in callers if caller.token is not None]
    exchanged = [token.id for token in presented if token.kind == TokenKind.EXCHANGED]
    sources: set[int] = set()
    if exchanged:
        found = session.scalars(select(Token.source_id).where(Token.id.in_(exchanged)))
        sources = {source_id for source_id in found if source_id is not None}
    return users, sources | {token.id for token in presented}


def _again(
    store: Store, caller: Caller, users: dict[int, User], tokens: dict[int, Token]
) -> Caller | Refusal:
    token = tokens.get(caller.token.id) if caller.token else None
    owner = users.get(caller.actor.id if token is None else token.user_id)
    subject = users.get(caller.subject.id)
    if caller.token is None and caller.is_sudo:
        return impersonate(
            owner.facts() if owner else None,
            subject.facts() if subject else None,
            caller.reason or "",
            policy=policy(store),
        )
    exchange = None if token is None else _exchange(token, users, tokens)
    asks = caller.is_sudo and exchange is None
    return decide(
        token.facts() if token else None,
        owner.facts() if owner else None,
        SudoAsk(_target(caller), caller.reason) if asks else None,
        subject.facts() if subject else None,
        now_ms=store.clock.now_ms(),
        policy=policy(store),
        exchange=exchange,
        remote_ip=caller.remote_ip,
        is_session=caller.token is None,
    )


def _exchange(
    token: Token, users: dict[int, User], tokens: dict[int, Token]
) -> ExchangeFacts | None:
    source = None if token.source_id is None else tokens.get(token.source_id)
    owner = None if source is None else users.get(source.user_id)
    return None if source is None or owner is None else token.exchange_facts(source, owner.facts())


def _require_scope(caller: Caller, needs: str | None) -> None:
    if needs is not None and (lacking := missing((needs,), caller.scopes)):
        raise ScopesNotHeld(lacking)


def _target(caller: Caller) -> Target:
    return Target(caller.subject.username, caller.subject.id, None)
