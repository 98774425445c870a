"""Signing keys: made when an algorithm is first needed, rotated, and published while they count.

A new key is published before it signs, so that nobody's copy of the published keys is too old, and
an old one is published long after it has signed for the last time. Keys are rows, the same for
all nodes; their private halves are sealed under the master key. Those of one purpose know nothing
of those of another, but that one node must be able to open them all. What is signed is the edges'
business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, delete, or_, select
from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.errors import KeyUnavailable
from tokensrv.models import EventHead, SigningKey
from tokensrv.services.keys import key_pairs, master_key
from tokensrv.services.keys.key_pairs import ALGORITHMS, Purpose, Signer
from tokensrv.services.trail.events import NewEvent, Origin, append

# What RFC 9701 §6 takes for granted.
DEFAULT_ALGORITHM: Final = "RS256"
# For so long a copy of the published keys may be kept.
MAX_AGE_SECONDS: Final = 300
# A new key signs when every copy has it, even one that was made by a slow clock.
LEAD: Final = timedelta(seconds=2 * MAX_AGE_SECONDS)
# So long after its last signature a key is still published.
KEPT: Final = timedelta(days=30)
# The thumbprint (RFC 7638): it names the same key everywhere.
ANSWERS: Final = Purpose("answers", LEAD, KEPT, kid_of=lambda key: key.thumbprint())


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as it may be shown: ``state`` is ``signing``, ``next`` or ``retired``."""

    kid: str
    alg: str
    state: str
    created_at: datetime
    # When it signs no more, which may lie ahead; None: not before it is rotated.
    retired_at: datetime | None


def signer_for(store: Store, origin: Origin, alg: str, purpose: Purpose = ANSWERS) -> Signer:
    """Return what signs by this algorithm now, of ``ALGORITHMS``; makes its first key.

    Raises KeyUnavailable, StorageUnavailable.
    """
    found = _find(store, alg, purpose)
    if found is None:
        _add(store, origin, (alg,), purpose, first_only=True)
        found = _find(store, alg, purpose)
    if found is None:
        raise KeyUnavailable(f"The keys for {alg} were just removed; try again.")
    return key_pairs.opened(store, found)


def rotate(
    store: Store,
    origin: Origin,
    algs: Sequence[str] = (),
    purpose: Purpose = ANSWERS,
    *,
    at_once: bool = False,
) -> list[KeyRecord]:
    """Make new keys for these algorithms, by default for all that have one; returns all keys.

    They sign after the purpose's lead. ``at_once``: the keys before them are lost or known to
    somebody else, so that they are removed, and what they signed can be verified no more. Raises
    KeyUnavailable.
    """
    in_use = {record.alg for record in list_keys(store, purpose)} or {DEFAULT_ALGORITHM}
    wanted = algs or [alg for alg in ALGORITHMS if alg in in_use]
    _add(store, origin, wanted, purpose, at_once=at_once)
    return list_keys(store, purpose)


def list_keys(store: Store, purpose: Purpose = ANSWERS) -> list[KeyRecord]:
    """Return all keys, the oldest first."""
    now, has_signer = utcnow(store.clock), set[str]()
    records = []
    for row in _rows(store, purpose):
        is_retired = row.retired_at is not None and row.retired_at <= now
        state = "retired" if is_retired else "next" if row.alg in has_signer else "signing"
        if not is_retired:
            has_signer.add(row.alg)
        records.append(KeyRecord(row.kid, row.alg, state, row.created_at, row.retired_at))
    return records


def published(store: Store, purpose: Purpose = ANSWERS) -> list[dict[str, Any]]:
    """Return the public keys that verify what was signed here (RFC 7517 §5)."""
    return [row.public_jwk for row in _published(store, purpose)]


def opened(store: Store, purpose: Purpose) -> list[Signer]:
    """Return the same with their private halves; raises KeyUnavailable."""
    return [key_pairs.opened(store, row) for row in _published(store, purpose)]


def problem(store: Store) -> str | None:
    """Return why this node cannot sign with a key that there is, None when it can with all of them.

    Raises StorageUnavailable.
    """
    try:
        with store.read() as session:
            _require_master_key(session, store)
    except KeyUnavailable as error:
        return str(error)
    return None


def _rows(store: Store, purpose: Purpose) -> list[SigningKey]:
    of_purpose = select(SigningKey).where(SigningKey.purpose == purpose.name)
    with store.read() as session:
        return list(session.scalars(of_purpose.order_by(SigningKey.id)))


def _published(store: Store, purpose: Purpose) -> list[SigningKey]:
    oldest, rows = utcnow(store.clock) - purpose.kept, _rows(store, purpose)
    return [row for row in rows if row.retired_at is None or row.retired_at > oldest]


def _find(store: Store, alg: str, purpose: Purpose) -> SigningKey | None:
    """Return the oldest key of an algorithm that is not retired, None when there is none."""
    with store.read() as session:
        return session.scalars(_alive(store).where(*_kind(purpose, alg)).limit(1)).first()


def _kind(purpose: Purpose, alg: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the condition for the keys of which one is the newest."""
    return SigningKey.purpose == purpose.name, SigningKey.alg == alg


def _add(
    store: Store,
    origin: Origin,
    algs: Sequence[str],
    purpose: Purpose,
    *,
    first_only: bool = False,
    at_once: bool = False,
) -> None:
    """Add a key for each algorithm; ``first_only``: unless it has one."""
    # An RSA key takes its time, in which nobody should have to wait for the database.
    keys = {alg: key_pairs.generate(alg, purpose) for alg in algs}
    with store.write() as session:
        # The head of the log is the mutex of two nodes that need a key at once.
        session.scalars(select(EventHead).with_for_update()).one()
        if not at_once:
            # Nobody could use the keys of a node whose master key is not that of the others.
            _require_master_key(session, store)
        events = []
        for alg, key in keys.items():
            kind = _kind(purpose, alg)
            newest = session.scalars(
                select(SigningKey).where(*kind, SigningKey.retired_at.is_(None))
            ).first()
            if newest is not None and first_only:
                continue
            if at_once:
                session.execute(delete(SigningKey).where(*kind))
            elif newest is not None:
                newest.retired_at = utcnow(store.clock) + purpose.lead
            session.flush()
            session.add(key_pairs.sealed(store, alg, purpose, key))
            data = {"alg": alg, "kid": key.kid, "purpose": purpose.name, "at_once": at_once}
            events.append(NewEvent(action="key.rotated" if newest else "key.created", data=data))
        _prune(session, utcnow(store.clock), purpose)
        append(session, store.clock, origin, events)


def _require_master_key(session: Session, store: Store) -> None:
    for row in session.scalars(_alive(store)):
        master_key.unseal(store.settings, row.private_encrypted)


def _alive(store: Store) -> Select[SigningKey]:
    """Return the query for the keys that sign now or will, the oldest first."""
    is_alive = or_(SigningKey.retired_at.is_(None), SigningKey.retired_at > utcnow(store.clock))
    return select(SigningKey).where(is_alive).order_by(SigningKey.id)


def _prune(session: Session, now: datetime, purpose: Purpose) -> None:
    is_past = SigningKey.retired_at < now - purpose.kept
    session.execute(delete(SigningKey).where(SigningKey.purpose == purpose.name, is_past))
