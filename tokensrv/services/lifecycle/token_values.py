"""Token values: what of a token can be set, how far each can be narrowed, what the log tells of it.

``services.lifecycle.tokens`` has the verbs, ``domain.minting`` the rules for scopes and days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from tokensrv.clock import midnight, today
from tokensrv.db import Store
from tokensrv.domain import minting, networks, scopes, texts
from tokensrv.errors import Invalid, NotNarrower
from tokensrv.models import Client, Token
from tokensrv.services.records import TokenRecord

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
    allowed_ips: tuple[str, ...] | Keep = KEEP


def shown(token: Token | TokenRecord) -> dict[str, Any]:
    """Return what the event log tells of a token."""
    day = token.expires_on
    return {
        "name": token.name,
        "description": token.description,
        "scopes": list(token.scopes),
        "expires_at": None if day is None else day.isoformat(),
        "audience": list(token.audience),
        "allowed_ips": list(token.allowed_ips),
    }


def set_values(session: Session, store: Store, token: Token, changes: TokenChanges) -> None:
    """Set what is given; raises Invalid, LifetimeExceeded, NotNarrower."""
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
    if changes.allowed_ips is not KEEP:
        token.allowed_ips = _fewer_places(token, changes.allowed_ips)


def check_audience(session: Session, audience: tuple[str, ...]) -> None:
    """Raise Invalid unless every client of the audience exists."""
    wanted = set(audience)
    if len(wanted) > AUDIENCE_SIZE:
        raise Invalid("audience")
    known = session.scalars(select(Client.client_id).where(Client.client_id.in_(wanted)))
    if set(known) != wanted:
        raise Invalid("audience", "does not have a valid value")


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


def _fewer_places(token: Token, wanted: tuple[str, ...]) -> tuple[str, ...]:
    allow_list = networks.allow_list(wanted)
    if not networks.is_narrower(allow_list, token.allowed_ips):
        raise NotNarrower
    return allow_list
