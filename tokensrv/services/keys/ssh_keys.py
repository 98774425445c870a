"""SSH keys: the public keys with which users reach Git; shown, found, removed.

How they are added is in ``services.keys.ssh_key_minting``, what they look like in
``services.keys.public_keys``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.domain.facts import UserFacts, UserState
from tokensrv.errors import Forbidden, NotFound
from tokensrv.models import SshKey, User
from tokensrv.services.authority import Locked, confirm, require_admin
from tokensrv.services.keys import public_keys
from tokensrv.services.pages import Order, Page, PageRequest, fetch
from tokensrv.services.trail.events import NewEvent, Origin, append

# Somebody who fetches all the time does not write all the time.
_USE_IS_NEWS_AFTER: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """A key as it may be shown. ``expires_at`` None: never, ``last_used_at`` None: not yet."""

    id: int
    user_id: int
    title: str
    # Type and base64, without a comment.
    key: str
    # As OpenSSH shows it: ``SHA256:...``.
    fingerprint: str
    created_at: datetime
    expires_at: datetime | None
    is_expired: bool
    last_used_at: datetime | None

    @property
    def kind(self) -> str:
        """Return the type of the key, such as ``ssh-ed25519``."""
        return self.key.partition(" ")[0]

    @property
    def expires_on(self) -> date | None:
        """Return the day at whose 00:00 UTC it dies, None for a key without end."""
        return None if self.expires_at is None else self.expires_at.date()


@dataclass(frozen=True, slots=True)
class OwnedKey:
    """A key with its owner as he is now."""

    key: KeyRecord
    owner: UserFacts

    @property
    def is_good(self) -> bool:
        """Return whether it opens anything now."""
        return not self.key.is_expired and self.owner.state == UserState.ACTIVE


def remove(store: Store, origin: Origin, user_id: int, key_id: int) -> None:
    """Remove a key of a user: the caller's own, or as an admin anybody's.

    Raises NotFound (User, Key), Forbidden, Refused.
    """
    with store.write() as session:
        owner = lock(session, store, origin, user_id).user(user_id)
        wanted = select(SshKey).where(SshKey.user_id == owner.id, SshKey.id == key_id)
        row = session.scalars(wanted.with_for_update()).first()
        if row is None:
            raise NotFound("Key")
        session.delete(row)
        removed = record(row, utcnow(store.clock))
        append(session, store.clock, origin, [event("ssh_key.removed", removed)])


def list_keys(store: Store, user_id: int, page: PageRequest | None = None) -> Page[KeyRecord]:
    """Return a page of a user's keys, the oldest first, those that expired among them."""
    now = utcnow(store.clock)
    query = select(SshKey).where(SshKey.user_id == user_id)
    with store.read() as session:
        return fetch(
            session, query, Order(SshKey.id), page or PageRequest(), lambda row: record(row, now)
        )


def get(store: Store, user_id: int, key_id: int) -> KeyRecord:
    """Return one of a user's keys; raises NotFound (Key)."""
    found = find(store, key_id)
    if found is None or found.owner.id != user_id:
        raise NotFound("Key")
    return found.key


def live_keys(store: Store, user_id: int) -> tuple[KeyRecord, ...]:
    """Return all keys of a user that have not expired, the oldest first; none unless he is active.

    Raises StorageUnavailable.
    """
    now = utcnow(store.clock)
    query = (
        select(SshKey)
        .join(User, User.id == SshKey.user_id)
        .where(
            SshKey.user_id == user_id,
            User.state == UserState.ACTIVE.value,
            or_(SshKey.expires_at.is_(None), SshKey.expires_at > now),
        )
        .order_by(SshKey.id)
    )
    with store.read() as session:
        return tuple(record(row, now) for row in session.scalars(query))


def find(store: Store, key_id: int) -> OwnedKey | None:
    """Return the key with this id, whatever its state; raises StorageUnavailable."""
    return _find(store, SshKey.id == key_id)


def find_by_fingerprint(store: Store, fingerprint: str) -> OwnedKey | None:
    """Return the key that OpenSSH shows as ``SHA256:...``; raises StorageUnavailable."""
    wanted = public_keys.find_fingerprint(fingerprint)
    return None if wanted is None else _find(store, SshKey.fingerprint == wanted)


def require_good(session: Session, store: Store, key_id: int) -> KeyRecord:
    """Return a key whose owner is locked, so that it stays; raises Forbidden if it is not good."""
    found = _find_within(session, store, SshKey.id == key_id)
    if found is None or not found.is_good:
        raise Forbidden
    return found.key


def used(store: Store, key: KeyRecord) -> None:
    """Remember that a key was used just now; raises StorageUnavailable."""
    now = utcnow(store.clock)
    if key.last_used_at is not None and now - key.last_used_at < _USE_IS_NEWS_AFTER:
        return
    with store.write() as session:
        session.execute(update(SshKey).where(SshKey.id == key.id).values(last_used_at=now))


def lock(session: Session, store: Store, origin: Origin, user_id: int) -> Locked:
    """Lock a user whose keys the caller may change; raises Forbidden, Refused."""
    locked = confirm(session, store, origin, users=[user_id])
    if locked.caller is None or locked.caller.subject.id != user_id:
        require_admin(locked)
    return locked


def record(row: SshKey, now: datetime) -> KeyRecord:
    """Return a key's row as a value, judged at ``now``."""
    return KeyRecord(
        id=row.id,
        user_id=row.user_id,
        title=row.title,
        key=row.key,
        fingerprint=public_keys.shown(row.fingerprint),
        created_at=row.created_at,
        expires_at=row.expires_at,
        is_expired=row.expires_at is not None and row.expires_at <= now,
        last_used_at=row.last_used_at,
    )


def event(action: str, key: KeyRecord, *, token_id: int | None = None) -> NewEvent:
    """Return what the event log tells of a key that was added or removed, with which token."""
    day = key.expires_on
    data: dict[str, Any] = {
        "user_id": key.user_id,
        "key_id": key.id,
        "title": key.title,
        "fingerprint": key.fingerprint,
        "expires_at": None if day is None else day.isoformat(),
    }
    return NewEvent(action=action, token_id=token_id, data=data)


def _find(store: Store, condition: ColumnElement[bool]) -> OwnedKey | None:
    with store.read() as session:
        return _find_within(session, store, condition)


def _find_within(session: Session, store: Store, condition: ColumnElement[bool]) -> OwnedKey | None:
    query = select(SshKey, User).join(User, User.id == SshKey.user_id).where(condition)
    found = session.execute(query).first()
    if found is None:
        return None
    row, owner = found
    return OwnedKey(record(row, utcnow(store.clock)), owner.facts())
