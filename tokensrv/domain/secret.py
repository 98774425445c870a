"""Secrets: how one is made, what is stored of it, what it looks like.

A secret is prefix + 30 random base62 letters + 6 base62 letters of the CRC-32 of all before.
It carries about 178 random bits, so what is stored is a plain SHA-256 digest: there is nothing
to guess that a slow password hash would protect. The checksum lets garbage be refused without
asking the database, and lets secret scanners tell a real one from a look-alike.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib
from enum import StrEnum
from typing import Any

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM_LENGTH = 30
CHECKSUM_LENGTH = 6
SHAPE = re.compile(r"[a-z0-9]{2,12}[piec]_[0-9A-Za-z]{36}", re.ASCII)

# Checksum or not: a mistyped secret is still most of one.
_ANYWHERE = re.compile(r"([a-z0-9]{2,12}[piec]_)[0-9A-Za-z]{36}", re.ASCII)
_CLIENT_ID_LENGTH = 22
# Every two letters, so that letters are drawn, and a checksum is written, in half the steps.
_PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)


class Kind(StrEnum):
    """The kinds of secrets; the value is the letter that ends the prefix."""

    PERSONAL = "p"
    IMPERSONATION = "i"
    EXCHANGED = "e"
    CLIENT = "c"


_OF_CLIENTS = Kind.CLIENT.value


def mint(prefix: str, kind: Kind) -> str:
    """Return a new secret of this kind under the instance's prefix, such as ``tsp_...``."""
    body = f"{prefix}{kind.value}_{_random(RANDOM_LENGTH)}"
    return body + checksum(body)


def mint_client_id() -> str:
    """Return a new public client id of the same alphabet: safe in URLs, Basic and shells."""
    return _random(_CLIENT_ID_LENGTH)


def digest(secret: str) -> bytes:
    """Return the 32 bytes that are stored and looked up for a secret."""
    return hashlib.sha256(secret.encode()).digest()


def checksum(body: str) -> str:
    """Return the 6 base62 letters of the CRC-32 of ``body``, padded with zeros in front."""
    rest, last = divmod(zlib.crc32(body.encode()), len(_PAIRS))
    first, middle = divmod(rest, len(_PAIRS))
    return _PAIRS[first] + _PAIRS[middle] + _PAIRS[last]


def token_digest(secret: str) -> bytes | None:
    """Return the digest to look a token up by, or None when it cannot be a token's secret.

    Any prefix counts, so that a changed setting leaves old tokens valid; a client's secret
    is no token's.
    """
    if secret[-38:-37] == _OF_CLIENTS or not has_shape(secret):
        return None
    return digest(secret)


def has_shape(secret: str) -> bool:
    """Return whether this looks like one of our secrets, checksum included."""
    return bool(SHAPE.fullmatch(secret)) and (
        checksum(secret[:-CHECKSUM_LENGTH]) == secret[-CHECKSUM_LENGTH:]
    )


def masked(value: Any) -> Any:
    """Return a value for logs and events: whatever looks like a secret in it keeps its prefix only.

    Texts within lists and objects are masked too; everything else stays as it is.
    """
    if isinstance(value, str):
        return _ANYWHERE.sub(r"\1***", value)
    if isinstance(value, dict):
        return {masked(key): masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    return value


def _random(length: int) -> str:
    # Both lengths are even, and a pair is drawn as fast as a letter.
    return "".join(secrets.choice(_PAIRS) for _ in range(length // 2))
