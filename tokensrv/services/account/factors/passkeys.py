"""Passkeys: public keys whose private half never leaves a user's device (WebAuthn Level 3).

A passkey is a second factor, and proves anew who somebody is. What a device must sign stands in
the session that asked, and is gone with the first answer.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.domain import texts
from tokensrv.errors import Forbidden, Invalid, NotFound
from tokensrv.models import Passkey, WebSession
from tokensrv.services.account import sessions
from tokensrv.services.account.factors import recovery_codes, relying_party
from tokensrv.services.account.factors.relying_party import Credential, NewCredential, RelyingParty
from tokensrv.services.account.second_factors import FactorsChanged, hold
from tokensrv.services.account.sessions import Current
from tokensrv.services.trail.events import NewEvent, Origin

METHOD: Final = "passkey"
NAME_LENGTH: Final = 255
_CHALLENGE_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class PasskeyRecord:
    """A passkey as its owner may see it; ``last_used_at`` None: never."""

    id: int
    name: str
    created_at: datetime
    last_used_at: datetime | None


def list_of(store: Store, user_id: int) -> tuple[PasskeyRecord, ...]:
    """Return a user's passkeys, the oldest first."""
    with store.read() as session:
        return tuple(
            PasskeyRecord(row.id, row.name, row.created_at, row.last_used_at)
            for row in session.scalars(_rows(user_id))
        )


def is_possible(store: Store) -> bool:
    """Return whether browsers allow passkeys at this instance's address."""
    return relying_party.find(store.settings) is not None


def creation_options(store: Store, origin: Origin, current: Current) -> str:
    """Return, as JSON, what has the caller's device make a passkey.

    Raises Forbidden (he acts as somebody else, or passkeys are not possible here), Refused.
    """
    party = _party(store)
    with store.write() as session:
        row = hold(session, store, origin, current)
        known = _credentials(session, row.user_id)
        return party.creation_options(current.user, _ask(row), known)


def add(store: Store, origin: Origin, current: Current, name: str, answer: str) -> FactorsChanged:
    """Add the passkey that a device made; ``answer`` is its JSON.

    Raises Invalid (``name``, ``passkey``), Forbidden, Refused.
    """
    texts.check("name", name, NAME_LENGTH)
    party = _party(store)
    with store.write() as session:
        row = hold(session, store, origin, current)
        challenge = _asked(row)
        made = None if challenge is None else party.new_credential(answer, challenge)
        if made is not None and not _is_known(session, made.id):
            passkey = _row(row.user_id, name, made, utcnow(store.clock))
            session.add(passkey)
            session.flush()
            event = NewEvent(action="passkey.added", data=_data(passkey))
            return recovery_codes.follow(session, store, origin, row, event)
    # Only now, so that what was asked is gone for good.
    raise Invalid("passkey", "was not made by your device for this page")


def remove(store: Store, origin: Origin, current: Current, passkey_id: int) -> FactorsChanged:
    """Remove one of the caller's passkeys; raises NotFound, Forbidden, Refused."""
    with store.write() as session:
        row = hold(session, store, origin, current)
        passkey = session.scalars(_rows(row.user_id).where(Passkey.id == passkey_id)).first()
        if passkey is None:
            raise NotFound("Passkey", passkey_id)
        session.delete(passkey)
        event = NewEvent(action="passkey.removed", data=_data(passkey))
        return recovery_codes.follow(session, store, origin, row, event)


def request_options(store: Store, current: Current) -> str:
    """Return, as JSON, what has a device of the session's user sign; raises NotFound, Forbidden."""
    party = _party(store)
    with store.write() as session:
        row = sessions.lock(session, store, current.session.id)
        known = _credentials(session, row.user_id)
        if not known:
            raise NotFound("Passkey")
        return party.request_options(_ask(row), known)


def take(session: Session, store: Store, row: WebSession, answer: str) -> bool:
    """Return whether a passkey of the session's user signed what was asked last.

    Within a transaction that must commit either way: nothing is asked twice. The session is
    locked. A key whose count of signatures did not grow may be a copy, and is refused.
    """
    party, challenge = relying_party.find(store.settings), _asked(row)
    wanted = relying_party.credential_id(answer)
    if party is None or challenge is None or wanted is None:
        return False
    query = _rows(row.user_id).where(Passkey.credential_id == wanted).with_for_update()
    passkey = session.scalars(query).first()
    if passkey is None:
        return False
    count = party.sign_count(
        answer,
        challenge,
        public_key=passkey.public_key,
        last_count=passkey.sign_count,
    )
    if count is None:
        return False
    passkey.sign_count, passkey.last_used_at = count, utcnow(store.clock)
    return True


def _party(store: Store) -> RelyingParty:
    found = relying_party.find(store.settings)
    if found is None:
        raise Forbidden("Passkeys need an address with HTTPS and a host's name.")
    return found


def _ask(row: WebSession) -> bytes:
    row.challenge = challenge = secrets.token_bytes(_CHALLENGE_BYTES)
    return challenge


def _asked(row: WebSession) -> bytes | None:
    challenge, row.challenge = row.challenge, None
    return challenge


def _rows(user_id: int) -> Select[Passkey]:
    return select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.id)


def _credentials(session: Session, user_id: int) -> list[Credential]:
    return [
        Credential(row.credential_id, row.transports) for row in session.scalars(_rows(user_id))
    ]


def _is_known(session: Session, credential_id: bytes) -> bool:
    return (
        session.scalar(select(Passkey.id).where(Passkey.credential_id == credential_id)) is not None
    )


def _row(user_id: int, name: str, made: NewCredential, now: datetime) -> Passkey:
    return Passkey(
        user_id=user_id,
        credential_id=made.id,
        public_key=made.public_key,
        sign_count=made.sign_count,
        transports=made.transports,
        name=name,
        created_at=now,
    )


def _data(passkey: Passkey) -> dict[str, object]:
    return {"user_id": passkey.user_id, "passkey_id": passkey.id, "name": passkey.name}
