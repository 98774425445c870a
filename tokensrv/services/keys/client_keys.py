"""Client keys: the public keys with which clients sign who they are (RFC 7517, RFC 7523).

It owns which keys a client may have and which algorithms may be used with them. Signatures are
verified at the edge, where they arrive.
"""

from __future__ import annotations

import binascii
import json
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, OKPKey, RSAKey
from joserfc.util import urlsafe_b64decode

from tokensrv.domain import texts
from tokensrv.errors import Invalid

# What a key may be used for; its kind is the curve, or RSA. Never `none`, and nothing symmetric.
ALGORITHMS_OF: Final = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("Ed25519",),
}
ALGORITHMS: Final = tuple(name for names in ALGORITHMS_OF.values() for name in names)

# Enough to rotate; an assertion without a key id is tried with all of them.
MAX_KEYS: Final = 10
_RSA_BITS: Final = range(2048, 4097)
_KID_LENGTH: Final = 255
_PEM: Final = "-----BEGIN"

# RFC 7518 §6: what only the owner of a key pair, or both sides of a shared key, may know.
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_PUBLIC: Final = {
    "RSA": ("kty", "n", "e"),
    "EC": ("kty", "crv", "x", "y"),
    "OKP": ("kty", "crv", "x"),
}
_ABOUT: Final = ("kid", "use", "alg")

_NOT_SUPPORTED: Final = (
    "holds a key that is not supported: RSA needs 2048 to 4096 bits, the curves are P-256, P-384,"
    " P-521 and Ed25519"
)

JwkSet = dict[str, Any]


def checked(jwks: object) -> JwkSet:
    """Return a JWK set as it is stored: the public members of its keys, and nothing else.

    Takes a set, one key alone, or either as text; a public key in PEM counts as text. Raises
    Invalid (jwks), which never repeats what was given: it may be a private key.
    """
    given = _parsed(jwks) if isinstance(jwks, str) else jwks
    if isinstance(given, dict) and "kty" in given:
        given = {"keys": [given]}
    keys = given.get("keys") if isinstance(given, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= MAX_KEYS:
        raise Invalid("jwks", f"must be a JWK set of 1 to {MAX_KEYS} public keys")
    found = [_checked_key(key) for key in keys]
    kids = [key["kid"] for key in found if "kid" in key]
    if len(set(kids)) < len(kids):
        raise Invalid("jwks", "has the same kid twice")
    return {"keys": found}


def thumbprints(jwks: JwkSet | None) -> list[str]:
    """Return what identifies each key (RFC 7638): for the log, which keeps no whole keys."""
    return [JWKRegistry.import_key(key).thumbprint() for key in (jwks or {}).get("keys", ())]


def _parsed(text: str) -> object:
    if text.lstrip().startswith(_PEM):
        return _from_pem(text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Invalid("jwks", "is neither JSON nor PEM") from None


def _from_pem(text: str) -> object:
    """Return the one public key of a PEM file as a JWK; of another kind it is not supported."""
    if "PRIVATE KEY" in text:
        raise _private()
    kinds: tuple[type[Key], ...] = (RSAKey, ECKey, OKPKey)
    for kind in kinds:
        try:
            return kind.import_key(text.strip()).as_dict()
        except (JoseError, ValueError, TypeError):
            continue
    raise Invalid("jwks", "is PEM, but no public key")


def _checked_key(jwk: object) -> JwkSet:
    if not isinstance(jwk, dict) or not isinstance(jwk.get("kty"), str):
        raise Invalid("jwks")
    if not _PRIVATE.isdisjoint(jwk):
        raise _private()
    members = (*_PUBLIC.get(jwk["kty"], ()), *_ABOUT)
    key = {name: jwk[name] for name in members if name in jwk}
    kind = _kind(key)
    if kind not in ALGORITHMS_OF or not _is_key(key):
        raise Invalid("jwks", _NOT_SUPPORTED)
    _check_about(key, kind)
    return key


def _kind(key: JwkSet) -> str:
    return str(key.get("kty" if key.get("kty") == "RSA" else "crv"))


def _is_key(key: JwkSet) -> bool:
    """Return whether it is a key at all, and a long one: a short one is refused before its use."""
    if not all(isinstance(value, str) for value in key.values()):
        return False
    try:
        if key["kty"] == "RSA":
            modulus = int.from_bytes(urlsafe_b64decode(key["n"].encode()), "big")
            if modulus.bit_length() not in _RSA_BITS:
                return False
        JWKRegistry.import_key({name: key[name] for name in _PUBLIC[key["kty"]]})
    except (JoseError, LookupError, ValueError, TypeError, binascii.Error):
        return False
    return True


def _check_about(key: JwkSet, kind: str) -> None:
    """Raise Invalid unless what the key says about itself fits a key that verifies signatures."""
    if "kid" in key:
        texts.check("jwks", key["kid"], _KID_LENGTH)
    if key.get("use", "sig") != "sig":
        raise Invalid("jwks", "holds a key that is not for signatures")
    if "alg" in key and key["alg"] not in ALGORITHMS_OF[kind]:
        raise Invalid("jwks", "names an alg that does not fit its key")


def _private() -> Invalid:
    return Invalid("jwks", "holds a private or a shared key; give the public half alone")
