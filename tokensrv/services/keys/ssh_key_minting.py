"""SSH keys, made good: whoever adds one may use Git with it from then on.

A key is a credential, so that adding one is minting: the key neither outlives nor goes beyond the
token that adds it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tokensrv.clock import midnight, today, utcnow
from tokensrv.db import Store
from tokensrv.domain import minting
from tokensrv.domain.texts import is_storable
from tokensrv.errors import Forbidden, InvalidRecord, KeyTaken
from tokensrv.models import SshKey
from tokensrv.services.authority import Locked, refuse_minting
from tokensrv.services.keys import public_keys
from tokensrv.services.keys.public_keys import PublicKey
from tokensrv.services.keys.ssh_keys import KeyRecord, event, lock, record
from tokensrv.services.lifecycle.minting import last_day, own_day, own_networks
from tokensrv.services.trail.events import Origin, append

TITLE_LENGTH: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyWish:
    """The key that somebody wants to add: the line of his ``.pub`` file.

    ``title`` empty: the comment in that line. ``expires_on`` None: as policy says.
    """

    # As it was pasted: it may be a private one.
    key: str = field(repr=False)
    title: str = ""
    expires_on: date | None = None


def add(store: Store, origin: Origin, user_id: int, wish: KeyWish) -> KeyRecord:
    """Add a key of a user: the caller's own, or as an admin anybody's.

    Raises NotFound (User), Forbidden, Invalid (``expires_at``), InvalidRecord, LifetimeExceeded,
    Refused.
    """
    refuse_minting(origin)
    public = public_keys.read(wish.key)
    title = _title(wish, public)
    with store.write() as session:
        locked = lock(session, store, origin, user_id)
        _refuse_from_some_places(locked)
        row = SshKey(
            user_id=locked.user(user_id).id,
            title=title,
            key=public.text,
            fingerprint=public.fingerprint,
            created_at=utcnow(store.clock),
            expires_at=_expiry(store, locked, wish.expires_on),
        )
        session.add(row)
        _flush(session)
        key = record(row, row.created_at)
        token = None if origin.caller is None else origin.caller.token
        added = event("ssh_key.added", key, token_id=None if token is None else token.id)
        append(session, store.clock, origin, [added])
        return key


def _refuse_from_some_places(locked: Locked) -> None:
    # The key would be good from everywhere.
    if own_networks(locked):
        raise Forbidden("Not allowed with a token that has an IP allow list")


def _expiry(store: Store, locked: Locked, wanted: date | None) -> datetime | None:
    cap = own_day(locked)
    day = minting.new_expiry(
        wanted,
        today(store.clock),
        last=last_day(store, cap),
        is_required=store.settings.require_expiry,
        cap=cap,
    )
    return None if day is None else midnight(day)


def _title(wish: KeyWish, public: PublicKey) -> str:
    title = wish.title.strip() or public.comment[:TITLE_LENGTH]
    if not title:
        raise InvalidRecord("title", "can't be blank")
    if len(title) > TITLE_LENGTH:
        raise InvalidRecord("title", f"is too long (maximum is {TITLE_LENGTH} characters)")
    if not is_storable(title):
        raise InvalidRecord("title", "is invalid")
    # In the event log it would stand for good.
    if public_keys.is_private(title):
        raise InvalidRecord("title", "is a private key")
    return title


def _flush(session: Session) -> None:
    # The unique index is the judge: whoever asks first could be overtaken.
    try:
        session.flush()
    except IntegrityError:
        raise KeyTaken from None
