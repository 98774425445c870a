"""Rotation: a token gives way to its successor, and a copied one takes its family with it.

Which scopes and which expiry a successor may have is ``domain.minting``.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from tokensrv.clock import today, utcnow
from tokensrv.db import Store
from tokensrv.domain import minting, networks
from tokensrv.domain.facts import TokenKind
from tokensrv.domain.scopes import of_owner
from tokensrv.errors import AlreadyRevoked, Forbidden
from tokensrv.models import Token, User
from tokensrv.services.authority import Locked, confirm, refuse_minting
from tokensrv.services.freshness import settled
from tokensrv.services.lifecycle.minting import TokenWish, add, last_day, own_day, own_networks
from tokensrv.services.lifecycle.tokens import is_own, lock, visible
from tokensrv.services.records import NewToken
from tokensrv.services.trail.events import NewEvent, Origin, append


def rotate(
    store: Store, origin: Origin, token_id: int, *, expires_on: date | None = None
) -> NewToken:
    """Revoke a token and make its successor, in one transaction.

    Raises NotFound (Token), AlreadyRevoked, Forbidden, Invalid, LifetimeExceeded,
    ScopesNotHeld, Refused.
    """
    refuse_minting(origin)
    with settled(store) as session:
        locked = lock(session, store, origin, token_id)
        old = visible(locked.caller, locked.tokens.get(token_id))
        if old.is_revoked:
            raise AlreadyRevoked
        if old.is_exchanged:
            # What came out of an exchange is made anew by another exchange, never by rotation.
            raise Forbidden
        cap = _rotation_cap(locked, old)
        new_day = minting.rotated_expiry(
            expires_on,
            today(store.clock),
            old=old.expires_on,
            last=last_day(store, cap),
            is_required=store.settings.require_expiry,
            cap=cap,
        )
        now = utcnow(store.clock)
        old.revoked_at = old.updated_at = now
        new = add(
            session,
            store,
            user_id=old.user_id,
            wish=_like(old, locked.user(old.user_id)),
            expires_on=new_day,
            previous_id=old.id,
        )
        data = {"user_id": old.user_id, "new_token_id": new.record.id}
        append(
            session,
            store.clock,
            origin,
            [NewEvent(action="token.rotated", token_id=old.id, data=data)],
        )
        return new


def revoke_descendants(store: Store, origin: Origin, token_id: int, *, began_at: datetime) -> int:
    """Revoke every active token that came from this one by rotation; returns how many.

    This is the answer to a revoked token that is used to rotate: somebody else has a copy. A
    request that ``began_at`` a moment when the token was still good is no reuse, it only came
    second: nothing is revoked then.
    """
    if not _has_living_descendants(store, token_id):
        # Whoever goes on presenting a dead token must not keep others from waiting.
        return 0
    with settled(store) as session:
        presented = session.get(Token, token_id)
        if presented is None or presented.revoked_at is None or presented.revoked_at >= began_at:
            return 0
        locked = _lock_descendants(session, store, origin, presented)
        now = utcnow(store.clock)
        alive = [token for token in locked.tokens.values() if token.is_active(now)]
        if not alive:
            return 0
        for token in alive:
            token.revoked_at = token.updated_at = now
        owner = locked.user(presented.user_id).facts()
        data = {"user_id": owner.id, "revoked": [token.id for token in alive]}
        event = NewEvent(
            action="token.reused", token_id=token_id, actor=owner, subject=owner, data=data
        )
        append(session, store.clock, origin, [event])
        return len(alive)


def _has_living_descendants(store: Store, token_id: int) -> bool:
    # One statement sees one moment: in two a rotation between them would hide the successor.
    query = select(Token).where(Token.id.in_(_unrevoked(token_id)))
    with store.read() as session:
        now = utcnow(store.clock)
        return any(token.is_active(now) for token in session.scalars(query))


def _lock_descendants(session: Session, store: Store, origin: Origin, presented: Token) -> Locked:
    ids = _descendants(session, presented.id)
    while True:
        locked = confirm(session, store, origin, users=[presented.user_id], tokens=ids)
        # A rotation that was on its way has added one: it must not escape.
        again = _descendants(session, presented.id)
        if again == ids:
            return locked
        ids = again


def _like(old: Token, owner: User) -> TokenWish:
    """Return the wish for a successor; an admin who is none any more loses the admins' scopes."""
    scopes = of_owner(old.scopes, is_admin=owner.is_admin)
    if not scopes:
        raise Forbidden
    return TokenWish(
        kind=TokenKind(old.kind),
        name=old.name,
        description=old.description,
        scopes=scopes,
        audience=old.audience,
        allowed_ips=old.allowed_ips,
    )


def _rotation_cap(locked: Locked, old: Token) -> date | None:
    """Return the day that the successor may not outlive, None for no such day.

    Rotating hands out a new secret, so it must not give a token more than it has. The token
    itself, and the command line, are free; an admin needs the admins' scopes; anybody else
    needs every scope. Whoever rotates a token of his own is limited by the end of the one that
    he holds, and none of those that are good from more places is given to him.
    """
    caller = locked.caller
    if caller is None or caller.token is None or is_own(caller, old):
        return None
    if caller.subject.is_admin:
        minting.check_held_by_admin(old.scopes, caller.token.scopes)
    else:
        minting.check_held(old.scopes, caller.token.scopes)
    if old.user_id != caller.subject.id:
        return None
    if not networks.is_narrower(old.allowed_ips, own_networks(locked)):
        raise Forbidden("The calling token is good from fewer places")
    return own_day(locked)


def _descendants(session: Session, token_id: int) -> set[int]:
    return set(session.scalars(_unrevoked(token_id)))


def _unrevoked(token_id: int) -> Select[tuple[int]]:
    """Return the query for the tokens, not revoked yet, that came from this one."""
    tree = select(Token.id, Token.revoked_at).where(Token.previous_id == token_id)
    found = tree.cte(recursive=True)
    further = select(Token.id, Token.revoked_at).where(Token.previous_id == found.c.id)
    found = found.union_all(further)
    return select(found.c.id).where(found.c.revoked_at.is_(None))
