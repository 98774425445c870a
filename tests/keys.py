"""Key pairs as clients have them, made once, and what clients sign with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from tests.conftest import ManualClock

_KINDS = {
    "RS": lambda: RSAKey.generate_key(2048),
    "PS": lambda: RSAKey.generate_key(2048),
    "ES256": lambda: ECKey.generate_key("P-256"),
    "ES384": lambda: ECKey.generate_key("P-384"),
    "ES512": lambda: ECKey.generate_key("P-521"),
    "Ed25519": lambda: OKPKey.generate_key("Ed25519"),
    "HS": lambda: OctKey.generate_key(256),
}


@cache
def key_for(alg: str, which: int = 0) -> Key:
    """Return the key pair of an algorithm; another number is another pair."""
    kind = alg[:2] if alg[:2] in _KINDS else alg
    return _KINDS[kind]()


def public(*keys: Key) -> dict[str, Any]:
    """Return a JWK set of the public halves."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


def claims_of(client_id: str, clock: ManualClock, **changed: Any) -> dict[str, Any]:
    """Return the claims of a good assertion with some of them changed; None leaves one out."""
    now = clock.now_ms() // 1000
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": "http://127.0.0.1:8000",
        "exp": now + 60,
        "iat": now,
        "jti": "assertion-1",
    }
    return {name: value for name, value in (claims | changed).items() if value is not None}


def signed(
    claims: Mapping[str, Any], key: Key, alg: str, header: Mapping[str, Any] | None = None
) -> str:
    """Return a JWT of these very claims, which no library had an opinion about."""
    protected = {"alg": alg} | dict(header or {})
    return jws.serialize_compact(protected, json.dumps(dict(claims)), key, algorithms=[alg])
