"""Tokens: shown, narrowed, revoked. How they are made is in ``services.lifecycle.minting``.

Who may do what to which token is decided here, once, inside each verb's transaction; the edges
only translate. A token that a caller may not see does not exist for him. How
far each value can be narrowed is in ``services.lifecycle.token_values``.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.domain.caller import Caller, Check, Refusal, Refused
from tokensrv.domain.facts import TokenKind
from tokensrv.domain.secret import token_digest
from tokensrv.errors import AlreadyRevoked, Forbidden, NotFound
from tokensrv.models import Token
from tokensrv.services.authority import Locked, confirm, refuse_stale, refuse_sudo
from tokensrv.services.freshness import settled
from tokensrv.services.lifecycle.token_values import TokenChanges, set_values, shown
from tokensrv.services.records import TokenRecord, token_record
from tokensrv.services.trail.events import NewEvent, Origin, append


def change(store: Store, origin: Origin, token_id: int, changes: TokenChanges) -> TokenRecord:
    """Rename a token, or narrow it: fewer scopes, an earlier expiry, fewer clients and places.

    Raises NotFound (Token), AlreadyRevoked, Forbidden, Invalid, LifetimeExceeded, NotNarrower,
    Refused.
    """
    refuse_sudo(origin)
    with settled(store) as session:
        locked = lock(session, store, origin, token_id)
        token = visible(locked.caller, locked.tokens.get(token_id))
        if token.is_revoked:
            raise AlreadyRevoked
        before = shown(token)
        set_values(session, store, token, changes)
        after = shown(token)
        if after != before:
            token.updated_at = utcnow(store.clock)
            changed = {key: after[key] for key in after if after[key] != before[key]}
            event = NewEvent(
                action="token.changed",
                token_id=token.id,
                data={"user_id": token.user_id, "changed": changed},
            )
            append(session, store.clock, origin, [event])
        return token_record(token, utcnow(store.clock))


def revoke(
    store: Store,
    origin: Origin,
    token_id: int,
    *,
    reason: str | None = None,
    unmodified_since: datetime | None = None,
) -> None:
    """Revoke a token; revoking it again changes nothing and succeeds.

    Raises NotFound (Token), Forbidden (an impersonation token cannot revoke itself), Stale (it
    was changed after ``unmodified_since``), Refused.
    """
    with settled(store) as session:
        locked = lock(session, store, origin, token_id)
        found = locked.tokens.get(token_id)
        # It is asked first, for the owner of such a token cannot even see it.
        if found is not None and found.is_impersonation and is_own(locked.caller, found):
            raise Forbidden("An impersonation token cannot revoke itself")
        if found is None or not may_revoke(locked.caller, user_id=found.user_id, kind=found.kind):
            raise NotFound("Token")
        refuse_stale(found.updated_at, unmodified_since)
        if found.is_revoked:
            return
        event = end(found, utcnow(store.clock), reason)
        append(session, store.clock, origin, [event])


def end(token: Token, now: datetime, reason: str | None) -> NewEvent:
    """Revoke a locked token within a transaction; its event is the caller's to append."""
    token.revoked_at = token.updated_at = now
    return NewEvent(
        action="token.revoked",
        token_id=token.id,
        reason=reason,
        data={"user_id": token.user_id},
    )


def get(store: Store, caller: Caller | None, token_id: int) -> TokenRecord:
    """Return a token that this caller may see; raises NotFound (Token)."""
    with store.read() as session:
        token = visible(caller, session.get(Token, token_id))
        return token_record(token, utcnow(store.clock))


def get_own(store: Store, caller: Caller) -> TokenRecord:
    """Return the very token that the caller presented.

    Raises NotFound (Token) when he presented none, Refused when it is gone meanwhile.
    """
    if caller.token is None:
        raise NotFound("Token")
    with store.read() as session:
        token = session.get(Token, caller.token.id)
        if token is None:
            # His account was deleted since he was let in.
            raise Refused(Refusal(Check.UNKNOWN))
        return token_record(token, utcnow(store.clock))


def find_by_secret(store: Store, secret: str) -> TokenRecord | None:
    """Return the token with this secret, whatever its state."""
    wanted = token_digest(secret)
    if wanted is None:
        return None
    with store.read() as session:
        token = session.scalars(select(Token).where(Token.digest == wanted)).first()
        return None if token is None else token_record(token, utcnow(store.clock))


def may_see(caller: Caller | None, *, user_id: int, kind: str) -> bool:
    """Return whether a token exists for this caller: all for admins, his own personal ones."""
    if caller is None or caller.subject.is_admin:
        return True
    return user_id == caller.subject.id and kind == TokenKind.PERSONAL


def may_revoke(caller: Caller | None, *, user_id: int, kind: str) -> bool:
    """Return whether this caller may end a token.

    Besides those that he may see these are the ones that came out of an exchange for him: they
    stand in no list of his, but they act as him.
    """
    is_his = caller is not None and user_id == caller.subject.id
    return (is_his and kind == TokenKind.EXCHANGED) or may_see(caller, user_id=user_id, kind=kind)


def visible(caller: Caller | None, token: Token | None) -> Token:
    """Return the token; raises NotFound (Token) when this caller may not see it."""
    if token is None or not may_see(caller, user_id=token.user_id, kind=token.kind):
        raise NotFound("Token")
    return token


def lock(session: Session, store: Store, origin: Origin, token_id: int) -> Locked:
    """Lock a token, its owner and the caller's own rows, and decide again who calls."""
    owner_id = session.scalar(select(Token.user_id).where(Token.id == token_id))
    users = () if owner_id is None else (owner_id,)
    return confirm(session, store, origin, users=users, tokens=[token_id])


def is_own(caller: Caller | None, token: Token) -> bool:
    """Return whether this is the very token that the caller presented."""
    return caller is not None and caller.token is not None and caller.token.id == token.id
