"""Public keys of SSH: one is read from what somebody pasted, and kept in its one spelling.

It owns which keys count. Whose they are, and until when, is ``services.keys.ssh_keys``' business.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_public_key,
)

from tokensrv.errors import InvalidRecord

FIELD: Final = "key"

# Of hardware: they carry the name of an application behind the key itself.
_ON_HARDWARE: Final = ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")
# Neither DSA, which OpenSSH gave up, nor certificates, which say themselves who may sign in.
KINDS: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    *_ON_HARDWARE,
)
_RSA_BITS: Final = range(2048, 16385)
# The longest RSA key and a long comment.
_LONGEST: Final = 8192
_PREFIX: Final = "SHA256:"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key as OpenSSH writes it, type and base64, and what stood behind it."""

    text: str
    # SHA-256 of the key's own bytes.
    fingerprint: bytes
    comment: str


def read(pasted: str) -> PublicKey:
    """Return the key of a line, as in a file that ends in ``.pub``.

    Raises InvalidRecord (``key``), which never repeats what was given: it may be a private key.
    """
    line = pasted.strip()
    if not line:
        raise InvalidRecord(FIELD, "can't be blank")
    if is_private(line):
        raise InvalidRecord(FIELD, "is a private key; give the public half alone")
    if len(line.splitlines()) > 1:
        raise InvalidRecord(FIELD, "should be a single line")
    # Options stand in front of the type, so that they are no type.
    kind, body, comment = (*line.split(maxsplit=2), "", "")[:3]
    if kind not in KINDS:
        raise InvalidRecord(FIELD, f"must begin with its type, which is one of {', '.join(KINDS)}")
    if len(line) > _LONGEST:
        raise InvalidRecord(FIELD, "is too long")
    try:
        blob = base64.b64decode(body, validate=True)
        text = f"{kind} {base64.b64encode(blob).decode()}"
        _check(kind, text)
    # The last two are what cryptography has for a point of a curve that is empty or compressed.
    except (ValueError, UnsupportedAlgorithm, IndexError, NotImplementedError):
        raise InvalidRecord(FIELD, "is no complete public key") from None
    return PublicKey(text, hashlib.sha256(blob).digest(), comment)


def is_private(text: str) -> bool:
    """Return whether a text is, or holds, a private key as programs write one to a file."""
    return "PRIVATE KEY" in text or "Private-Lines" in text


def shown(fingerprint: bytes) -> str:
    """Return a fingerprint as OpenSSH shows it: ``SHA256:`` and base64 without padding."""
    return _PREFIX + base64.b64encode(fingerprint).decode().rstrip("=")


def find_fingerprint(text: str) -> bytes | None:
    """Return the fingerprint that OpenSSH shows as this text, None for what it never shows."""
    body = text.removeprefix(_PREFIX)
    try:
        found = base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except ValueError:
        return None
    return found if shown(found) == text else None


def _check(kind: str, text: str) -> None:
    """Raise ValueError, InvalidRecord unless it is a whole key, long enough, and spelled so."""
    key = load_ssh_public_key(text.encode())
    if isinstance(key, RSAPublicKey) and key.key_size not in _RSA_BITS:
        shortest, longest = _RSA_BITS[0], _RSA_BITS[-1]
        raise InvalidRecord(
            FIELD, f"is too short or too long: RSA needs {shortest} to {longest} bits"
        )
    if kind in _ON_HARDWARE:
        # What is read leaves the application out, and consists of strings alone, which have one
        # spelling.
        return
    # A number may be written with zeros in front, and then one key would have two fingerprints.
    if key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) != text.encode():
        raise ValueError
