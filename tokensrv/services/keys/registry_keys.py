"""Registry keys: what signs for container registries, and what these need to verify it.

A registry is given its copy of the keys by hand and reads it when it starts, so that a new key
waits for a day before it signs. Keys are named as Docker's libtrust names them, because registries
of the second version know keys of certificates by no other name.
"""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import timedelta
from typing import Any, Final, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from joserfc.jwk import Key, RSAKey

from tokensrv.db import Store
from tokensrv.services.keys import signing_keys
from tokensrv.services.keys.key_pairs import Purpose, Signer
from tokensrv.services.trail.events import Origin

_ALGORITHM: Final = "RS256"
# The rotation of the key ends a certificate, its date does not; but it must have one.
_VALID_FOR: Final = timedelta(days=36500)
# The longest that what was signed may live (the setting ``registry_token_seconds``).
_KEPT: Final = timedelta(hours=1)


def key_id(key: Key) -> str:
    """Return how libtrust names a key: 240 bits of a digest, in base32, in groups of four."""
    # Its algorithm leaves no other kind.
    der = cast(RSAKey, key).as_der(private=False)
    text = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode()
    return ":".join(re.findall("....", text))


REGISTRY: Final = Purpose("registry", lead=timedelta(days=1), kept=_KEPT, kid_of=key_id)


def signer(store: Store, origin: Origin) -> Signer:
    """Return what signs now; makes the first key. Raises KeyUnavailable, StorageUnavailable."""
    return signing_keys.signer_for(store, origin, _ALGORITHM, REGISTRY)


def rotate(store: Store, origin: Origin, *, at_once: bool = False) -> None:
    """Make a new key, which signs in a day; ``at_once``: now, and the keys before it are removed.

    Raises KeyUnavailable.
    """
    signing_keys.rotate(store, origin, (_ALGORITHM,), REGISTRY, at_once=at_once)


def key_set(store: Store) -> dict[str, Any]:
    """Return the public keys that a registry should know now (RFC 7517 §5)."""
    return {"keys": signing_keys.published(store, REGISTRY)}


def certificates(store: Store) -> str:
    """Return the same keys as certificates in PEM, each time the same; raises KeyUnavailable."""
    return "".join(map(_certificate, signing_keys.opened(store, REGISTRY)))


def _certificate(signer: Signer) -> str:
    """Return the certificate of a key, signed by itself: everything in it is the key's own."""
    key, begins_at = cast(RSAPrivateKey, signer.key.raw_value), signer.created_at
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"tokensrv {signer.kid[:9]}")])
    # Not zero, and not longer than 20 octets (RFC 5280 §4.1.2.2).
    serial = int.from_bytes(hashlib.sha256(signer.kid.encode()).digest()[:16]) | 1
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(begins_at)
        .not_valid_after(begins_at + _VALID_FOR)
        .sign(key, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()
