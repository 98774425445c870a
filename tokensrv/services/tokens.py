"""Tokens: shown, narrowed, revoked. How they are made is in ``services.minting``.

Who may do what to which token is decided here, once, inside each verb's transaction; the edges
only translate. A token that a caller may not see does not exist for him.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from tokensrv.clock import midnight, today, utcnow
from tokensrv.db import Store
from tokensrv.domain import minting, scopes, texts
from tokensrv.domain.caller import Caller, Check, Refusal, Refused
from tokensrv.domain.facts import TokenKind
from tokensrv.domain.secret import token_digest
from tokensrv.errors import AlreadyRevoked, Forbidden, Invalid, NotFound, NotNarrower
from tokensrv.models import Client, Token
from tokensrv.services.authority import Locked, confirm, refuse_stale, refuse_sudo
from tokensrv.services.events import NewEvent, Origin, append
from tokensrv.services.freshness import settled
from tokensrv.services.records import TokenRecord, token_record

NAME_LENGTH = 255
DESCRIPTION_LENGTH = 255
# A token for more services than this is a token for all of them.
AUDIENCE_SIZE = 100


class Keep(Enum):
    """What a change leaves as it is."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenChanges:
    """What to change; ``KEEP`` leaves a value as it is."""

    name: str | Keep = KEEP
    description: str | Keep | None = KEEP
    scopes: tuple[str, ...] | Keep = KEEP
    expires_on: date | Keep | None = KEEP
    audience: tuple[str, ...] | Keep = KEEP


def change(store: Store, origin: Origin, token_id: int, changes: TokenChanges) -> TokenRecord:
    """Rename a token, or narrow it: fewer scopes, an earlier expiry, a smaller audience.

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
        _apply(session, store, token, changes)
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
        found.revoked_at = found.updated_at = utcnow(store.clock)
        event = NewEvent(
            action="token.revoked",
            token_id=found.id,
            reason=reason,
            data={"user_id": found.user_id},
        )
        append(session, store.clock, origin, [event])


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


def shown(token: Token | TokenRecord) -> dict[str, Any]:
    """Return what the event log tells of a token."""
    day = token.expires_on
    return {
        "name": token.name,
        "description": token.description,
        "scopes": list(token.scopes),
        "expires_at": None if day is None else day.isoformat(),
        "audience": list(token.audience),
    }


def _apply(session: Session, store: Store, token: Token, changes: TokenChanges) -> None:
    if changes.name is not KEEP:
        texts.check("name", changes.name, NAME_LENGTH)
        token.name = changes.name
    if changes.description is not KEEP:
        if changes.description is not None:
            texts.check("description", changes.description, DESCRIPTION_LENGTH, may_be_empty=True)
        token.description = changes.description
    if changes.scopes is not KEEP:
        token.scopes = _narrower_scopes(store, token, changes.scopes)
    if changes.expires_on is not KEEP:
        token.expires_at = _earlier(store, token, changes.expires_on)
    if changes.audience is not KEEP:
        check_audience(session, changes.audience)
        token.audience = _smaller(token, changes.audience)


def _narrower_scopes(store: Store, token: Token, wanted: tuple[str, ...]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(wanted))
    minting.check_scopes(
        wanted, available=scopes.available(store.settings.extra_scopes), owner_is_admin=True
    )
    if scopes.missing(wanted, token.scopes) or _widens_sudo(wanted, token.scopes):
        raise NotNarrower
    return wanted


def _widens_sudo(wanted: tuple[str, ...], granted: tuple[str, ...]) -> bool:
    # A token that holds sudo alone acts with "api", so that fewer scopes may be more power.
    after, before = scopes.under_sudo(wanted), scopes.under_sudo(granted)
    return "sudo" in wanted and bool(scopes.missing(after, before))


def _earlier(store: Store, token: Token, wanted: date | None) -> datetime | None:
    if wanted == token.expires_on:
        return token.expires_at
    if wanted is None:
        raise NotNarrower
    day = today(store.clock)
    last = minting.last_day(day, max_lifetime_days=store.settings.max_lifetime_days)
    minting.check_expiry(wanted, day, last)
    if token.expires_on is not None and wanted > token.expires_on:
        raise NotNarrower
    return midnight(wanted)


def _smaller(token: Token, wanted: tuple[str, ...]) -> tuple[str, ...]:
    # An empty audience means everybody, so it is wider than any other.
    if token.audience and (not wanted or not set(wanted) <= set(token.audience)):
        raise NotNarrower
    return tuple(dict.fromkeys(wanted))


def check_audience(session: Session, audience: tuple[str, ...]) -> None:
    """Raise Invalid unless every client of the audience exists."""
    wanted = set(audience)
    if len(wanted) > AUDIENCE_SIZE:
        raise Invalid("audience")
    known = session.scalars(select(Client.client_id).where(Client.client_id.in_(wanted)))
    if set(known) != wanted:
        raise Invalid("audience", "does not have a valid value")
