"""Key pairs: made for an algorithm and a purpose, sealed into a row, and opened again to sign.

Which of them signs, and how long they count, is ``services.keys.signing_keys``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from joserfc import jwk, jwt
from joserfc.jwk import Key

from tokensrv.clock import utcnow
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain.secret import masked
from tokensrv.models import SigningKey
from tokensrv.services.keys import master_key

# Each with the type of its key, and the size or the curve.
_KINDS: Final[dict[str, tuple[str, int | str]]] = {
    "RS256": ("RSA", 2048),
    "ES256": ("EC", "P-256"),
    "Ed25519": ("OKP", "Ed25519"),
}
ALGORITHMS: Final = tuple(_KINDS)


@dataclass(frozen=True, slots=True)
class Purpose:
    """What keys are for, and how long whoever verifies with them needs to learn of a change.

    A new key signs after ``lead``, an old one is published for ``kept`` after its last signature;
    ``kid_of`` names a key.
    """

    name: str
    lead: timedelta
    kept: timedelta
    kid_of: Callable[[Key], str]


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key."""

    alg: str
    kid: str
    created_at: datetime
    key: Key = field(repr=False)

    def sign(self, kind: str, claims: Mapping[str, Any]) -> str:
        """Return the claims as a signed JWT whose header ``typ`` is ``kind`` (RFC 8725 §3.11)."""
        header = {"alg": self.alg, "kid": self.kid, "typ": kind}
        return jwt.encode(header, dict(claims), self.key, algorithms=[self.alg])


def generate(alg: str, purpose: Purpose) -> Key:
    """Return a new key for an algorithm of ``ALGORITHMS``; an RSA key takes its time."""
    kind, size = _KINDS[alg]
    while True:
        key: Key = jwk.generate_key(kind, size, {"use": "sig", "alg": alg})  # type: ignore[call-overload]  # the table pairs them
        kid = purpose.kid_of(key)
        # One in some thousand looks like a secret, and would be masked wherever it is told of.
        if masked(kid) == kid:
            return jwk.import_key(key.as_dict(private=True, kid=kid))


def sealed(store: Store, alg: str, purpose: Purpose, key: Key) -> SigningKey:
    """Return the row of a new key; raises KeyUnavailable."""
    private = json.dumps(key.as_dict(private=True)).encode()
    return SigningKey(
        purpose=purpose.name,
        kid=key.kid,
        alg=alg,
        public_jwk=key.as_dict(private=False),
        private_encrypted=master_key.seal(store.settings, private),
        created_at=utcnow(store.clock),
    )


def opened(store: Store, row: SigningKey) -> Signer:
    """Return the private key of a row; raises KeyUnavailable."""
    key = _private(store.settings, row.private_encrypted)
    return Signer(row.alg, row.kid, row.created_at, key)


@lru_cache(maxsize=16)
def _private(settings: Settings, sealed: str) -> Key:
    """Return a private key; opening one takes longer than a signature."""
    return jwk.import_key(json.loads(master_key.unseal(settings, sealed)))
