"""Minting: how tokens are made, and made anew by rotation.

The rules are ``domain.minting``; here they meet the rows that are locked while they are applied.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import insert
from sqlalchemy.orm import Session

from tokensrv.clock import midnight, today, utcnow
from tokensrv.db import Base, Store
from tokensrv.domain import minting, networks, scopes, texts
from tokensrv.domain.facts import TokenKind
from tokensrv.domain.secret import Kind, digest, mint
from tokensrv.errors import Forbidden
from tokensrv.models import Token, User
from tokensrv.services import submissions
from tokensrv.services.authority import Locked, confirm, refuse_minting, require_admin
from tokensrv.services.keys import ssh_keys
from tokensrv.services.lifecycle.token_values import (
    DESCRIPTION_LENGTH,
    NAME_LENGTH,
    check_audience,
    shown,
)
from tokensrv.services.records import NewToken, token_record
from tokensrv.services.trail.events import NewEvent, Origin, append

_tokens = Base.metadata.tables[Token.__tablename__]
_ADD = insert(_tokens).returning(_tokens.c.id)
_LETTER = {TokenKind.PERSONAL: Kind.PERSONAL, TokenKind.IMPERSONATION: Kind.IMPERSONATION}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenWish:
    """The token that somebody wants. ``expires_on`` None: as policy says."""

    name: str
    scopes: tuple[str, ...]
    expires_on: date | None = None
    description: str | None = None
    audience: tuple[str, ...] = ()
    # Addresses and networks that it may be used from; empty: as the maker's own token.
    allowed_ips: tuple[str, ...] = ()
    kind: TokenKind = TokenKind.PERSONAL


def create_for_user(
    store: Store, origin: Origin, user_id: int, wish: TokenWish, *, submission: str | None = None
) -> NewToken:
    """Make a token for any user, as an admin or on the command line.

    ``submission`` is the value of the form that asks for it, None for no form. Raises NotFound
    (User), Forbidden, Invalid, LifetimeExceeded, ScopesNotHeld, SentTwice, Refused.
    """
    refuse_minting(origin)
    with store.write() as session:
        locked = confirm(session, store, origin, users=[user_id])
        require_admin(locked)
        owner = locked.user(user_id)
        if locked.caller is not None:
            submissions.claim(session, store, locked.caller.subject.id, submission)
        _check_wish(session, store, wish, owner)
        # The command line, and a web session that was just confirmed, hold everything.
        if locked.caller is not None and locked.caller.token is not None:
            minting.check_held_by_admin(wish.scopes, locked.caller.token.scopes)
        # What somebody makes for himself is bound by the token that he holds.
        bound = locked if _is_himself(locked, user_id) else Locked()
        return _create(session, store, origin, owner, wish, bound)


def create_for_self(
    store: Store,
    origin: Origin,
    wish: TokenWish,
    *,
    submission: str | None = None,
    key_id: int | None = None,
) -> NewToken:
    """Make a token for the caller himself, with nothing that his own token does not hold.

    ``submission`` is the value of the form that asks for it, None for no form; ``key_id`` the SSH
    key that he came with, if he did. Raises Forbidden, Invalid, LifetimeExceeded, ScopesNotHeld,
    SentTwice, Refused.
    """
    refuse_minting(origin)
    with store.write() as session:
        locked = confirm(session, store, origin)
        caller = locked.caller
        if caller is None:
            raise Forbidden
        owner = locked.user(caller.subject.id)
        if key_id is not None:
            ssh_keys.require_good(session, store, key_id)
        submissions.claim(session, store, owner.id, submission)
        _check_wish(session, store, wish, owner)
        if caller.token is not None:
            minting.check_held_by_self(wish.scopes, caller.token.scopes)
        return _create(session, store, origin, owner, wish, locked, key_id=key_id)


def last_day(store: Store, cap: date | None = None) -> date:
    """Return the last day that a token made today may live to; ``cap``: a day before that."""
    return minting.last_day(
        today(store.clock), max_lifetime_days=store.settings.max_lifetime_days, cap=cap
    )


def _check_wish(session: Session, store: Store, wish: TokenWish, owner: User) -> None:
    texts.check("name", wish.name, NAME_LENGTH)
    if wish.description is not None:
        texts.check("description", wish.description, DESCRIPTION_LENGTH, may_be_empty=True)
    minting.check_scopes(
        wish.scopes,
        available=scopes.available(store.settings.extra_scopes),
        owner_is_admin=owner.is_admin,
    )
    if wish.audience:
        check_audience(session, wish.audience)


def _create(
    session: Session,
    store: Store,
    origin: Origin,
    owner: User,
    wish: TokenWish,
    bound: Locked,
    *,
    key_id: int | None = None,
) -> NewToken:
    """Make a token that neither outlives the bound's own nor is good from more places."""
    cap = own_day(bound)
    expires_on = minting.new_expiry(
        wish.expires_on,
        today(store.clock),
        last=last_day(store, cap),
        is_required=store.settings.require_expiry,
        cap=cap,
    )
    places = networks.bounded(networks.allow_list(wish.allowed_ips), own_networks(bound))
    wish = replace(wish, allowed_ips=places)
    new = add(session, store, user_id=owner.id, wish=wish, expires_on=expires_on)
    data = {"user_id": owner.id, "kind": new.record.kind, **shown(new.record)}
    if key_id is not None:
        data["key_id"] = key_id
    event = NewEvent(action="token.created", token_id=new.record.id, data=data)
    append(session, store.clock, origin, [event])
    return new


def add(
    session: Session,
    store: Store,
    *,
    user_id: int,
    wish: TokenWish,
    expires_on: date | None = None,
    previous_id: int | None = None,
) -> NewToken:
    """Add a token's row within a transaction; its event is the caller's to append."""
    now = utcnow(store.clock)
    secret = mint(store.settings.prefix, _LETTER[wish.kind])
    columns = {
        "kind": wish.kind.value,
        "user_id": user_id,
        "digest": digest(secret),
        "name": wish.name,
        "description": wish.description,
        "scopes": tuple(dict.fromkeys(wish.scopes)),
        "audience": tuple(dict.fromkeys(wish.audience)),
        "allowed_ips": wish.allowed_ips,
        "created_at": now,
        "updated_at": now,
        "expires_at": None if expires_on is None else midnight(expires_on),
        "last_used_ips": (),
        "previous_id": previous_id,
    }
    # The session need not keep track of a row that nobody changes any more.
    token_id = session.connection().execute(_ADD, columns).scalar_one()
    return NewToken(token_record(Token(id=token_id, **columns), now), secret)


def own_day(locked: Locked) -> date | None:
    """Return the day on which the caller's own token dies, None for one without end."""
    if locked.caller is None or locked.caller.token is None:
        return None
    return locked.token(locked.caller.token.id).expires_on


def own_networks(locked: Locked) -> tuple[str, ...]:
    """Return from where the caller's own token may be used; empty: from anywhere."""
    token = None if locked.caller is None else locked.caller.token
    return () if token is None else token.allowed_ips


def _is_himself(locked: Locked, user_id: int) -> bool:
    return locked.caller is not None and locked.caller.subject.id == user_id
