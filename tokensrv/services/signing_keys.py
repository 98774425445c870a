"""Signing keys: made when an algorithm is first needed, rotated, and published while they count.

A new key is published before it signs, so that nobody's copy of the published keys is too old, and
an old one is published long after it has signed for the last time. Keys are rows, the same for
all nodes; their private halves are sealed under the master key. What is signed is the edges'
business.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from joserfc import jwk, jwt
from joserfc.jwk import Key
from sqlalchemy import Select, delete, or_, select
from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.errors import KeyUnavailable
from tokensrv.models import EventHead, SigningKey
from tokensrv.services import master_key
from tokensrv.services.events import NewEvent, Origin, append

# What RFC 9701 §6 takes for granted.
DEFAULT_ALGORITHM: Final = "RS256"
# Each with the type of its key, and the size or the curve.
_KINDS: Final[dict[str, tuple[str, int | str]]] = {
    "RS256": ("RSA", 2048),
    "ES256": ("EC", "P-256"),
    "Ed25519": ("OKP", "Ed25519"),
}
ALGORITHMS: Final = tuple(_KINDS)

# For so long a copy of the published keys may be kept.
MAX_AGE_SECONDS: Final = 300
# A new key signs when every copy has it, even one that was made by a slow clock.
LEAD: Final = timedelta(seconds=2 * MAX_AGE_SECONDS)
# So long after its last signature a key is still published.
KEPT: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key that signs now."""

    alg: str
    kid: str
    key: Key = field(repr=False)

    def sign(self, kind: str, claims: Mapping[str, Any]) -> str:
        """Return the claims as a signed JWT whose header ``typ`` is ``kind`` (RFC 8725 §3.11)."""
        header = {"alg": self.alg, "kid": self.kid, "typ": kind}
        return jwt.encode(header, dict(claims), self.key, algorithms=[self.alg])


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as it may be shown: ``state`` is ``signing``, ``next`` or ``retired``."""

    kid: str
    alg: str
    state: str
    created_at: datetime
    # When it signs no more, which may lie ahead; None: not before it is rotated.
    retired_at: datetime | None


def signer_for(store: Store, origin: Origin, alg: str) -> Signer:
    """Return what signs by this algorithm now, of ``ALGORITHMS``; makes its first key.

    Raises KeyUnavailable, StorageUnavailable.
    """
    found = _find(store, alg)
    if found is None:
        _add(store, origin, (alg,), first_only=True)
        found = _find(store, alg)
    if found is None:
        raise KeyUnavailable(f"The keys for {alg} were just removed; try again.")
    return Signer(alg, found.kid, _private(store.settings, found.private_encrypted))


def rotate(
    store: Store, origin: Origin, algs: Sequence[str] = (), *, at_once: bool = False
) -> list[KeyRecord]:
    """Make new keys for these algorithms, by default for all that have one; returns all keys.

    They sign after ``LEAD``. ``at_once``: the keys before them are lost or known to somebody else,
    so that they are removed, and what they signed can be verified no more. Raises KeyUnavailable.
    """
    in_use = {record.alg for record in list_keys(store)} or {DEFAULT_ALGORITHM}
    wanted = algs or [alg for alg in ALGORITHMS if alg in in_use]
    _add(store, origin, wanted, at_once=at_once)
    return list_keys(store)


def list_keys(store: Store) -> list[KeyRecord]:
    """Return all keys, the oldest first."""
    now, has_signer = utcnow(store.clock), set[str]()
    records = []
    for row in _rows(store):
        is_retired = row.retired_at is not None and row.retired_at <= now
        state = "retired" if is_retired else "next" if row.alg in has_signer else "signing"
        if not is_retired:
            has_signer.add(row.alg)
        records.append(KeyRecord(row.kid, row.alg, state, row.created_at, row.retired_at))
    return records


def published(store: Store) -> list[dict[str, Any]]:
    """Return the public keys that verify what was signed here (RFC 7517 §5)."""
    oldest = utcnow(store.clock) - KEPT
    return [row.public_jwk for row in _rows(store) if not row.retired_at or row.retired_at > oldest]


def problem(store: Store) -> str | None:
    """Return why this node cannot sign with a key that there is, None when it can.

    Raises StorageUnavailable.
    """
    try:
        with store.read() as session:
            _require_master_key(session, store)
    except KeyUnavailable as error:
        return str(error)
    return None


def _rows(store: Store) -> list[SigningKey]:
    with store.read() as session:
        return list(session.scalars(select(SigningKey).order_by(SigningKey.id)))


def _find(store: Store, alg: str) -> SigningKey | None:
    """Return the oldest key of an algorithm that is not retired, None when there is none."""
    with store.read() as session:
        return session.scalars(_alive(store).where(SigningKey.alg == alg).limit(1)).first()


@lru_cache(maxsize=16)
def _private(settings: Settings, sealed: str) -> Key:
    """Return a private key; opening one takes longer than a signature."""
    return jwk.import_key(json.loads(master_key.unseal(settings, sealed)))


def _add(
    store: Store,
    origin: Origin,
    algs: Sequence[str],
    *,
    first_only: bool = False,
    at_once: bool = False,
) -> None:
    """Add a key for each algorithm; ``first_only``: unless it has one."""
    # An RSA key takes its time, in which nobody should have to wait for the database.
    keys = {alg: _generate(alg) for alg in algs}
    with store.write() as session:
        # The head of the log is the mutex of two nodes that need a key at once.
        session.scalars(select(EventHead).with_for_update()).one()
        if not at_once:
            # Nobody could use the keys of a node whose master key is not that of the others.
            _require_master_key(session, store)
        events = []
        for alg, key in keys.items():
            newest = session.scalars(
                select(SigningKey).where(SigningKey.alg == alg, SigningKey.retired_at.is_(None))
            ).first()
            if newest is not None and first_only:
                continue
            _retire(session, store, alg, newest, at_once=at_once)
            session.add(_row(store, alg, key))
            data = {"alg": alg, "kid": key.kid, "at_once": at_once}
            events.append(NewEvent(action="key.rotated" if newest else "key.created", data=data))
        _prune(session, utcnow(store.clock))
        append(session, store.clock, origin, events)


def _retire(
    session: Session, store: Store, alg: str, newest: SigningKey | None, *, at_once: bool
) -> None:
    if at_once:
        session.execute(delete(SigningKey).where(SigningKey.alg == alg))
    elif newest is not None:
        newest.retired_at = utcnow(store.clock) + LEAD
    session.flush()


def _require_master_key(session: Session, store: Store) -> None:
    for row in session.scalars(_alive(store)):
        master_key.unseal(store.settings, row.private_encrypted)


def _alive(store: Store) -> Select[SigningKey]:
    """Return the query for the keys that sign now or will, the oldest first."""
    is_alive = or_(SigningKey.retired_at.is_(None), SigningKey.retired_at > utcnow(store.clock))
    return select(SigningKey).where(is_alive).order_by(SigningKey.id)


def _prune(session: Session, now: datetime) -> None:
    session.execute(delete(SigningKey).where(SigningKey.retired_at < now - KEPT))


def _generate(alg: str) -> Key:
    kind, size = _KINDS[alg]
    key: Key = jwk.generate_key(kind, size, {"use": "sig", "alg": alg})  # type: ignore[call-overload]  # the table pairs them
    # The thumbprint (RFC 7638): it names the same key everywhere.
    key.ensure_kid()
    return key


def _row(store: Store, alg: str, key: Key) -> SigningKey:
    private = json.dumps(key.as_dict(private=True)).encode()
    return SigningKey(
        kid=key.kid,
        alg=alg,
        public_jwk=key.as_dict(private=False),
        private_encrypted=master_key.seal(store.settings, private),
        created_at=utcnow(store.clock),
    )
