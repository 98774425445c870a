"""Passwords: how one is judged and stored.

People choose passwords, so they get a slow hash (argon2id), unlike secrets, which are random.
Hashing takes memory, so only so many run at a time.
"""

from __future__ import annotations

import secrets
import threading

from argon2 import PasswordHasher

from tokensrv.errors import InvalidRecord

MIN_LENGTH = 8
MAX_LENGTH = 128

# OWASP's parameters: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_AT_A_TIME = threading.BoundedSemaphore(4)


def store_form(password: str) -> str:
    """Return what is stored of a password; raises InvalidRecord when its length is wrong."""
    if len(password) < MIN_LENGTH:
        raise InvalidRecord("password", f"is too short (minimum is {MIN_LENGTH} characters)")
    if len(password) > MAX_LENGTH:
        raise InvalidRecord("password", f"is too long (maximum is {MAX_LENGTH} characters)")
    with _AT_A_TIME:
        return _HASHER.hash(password)


def generate() -> str:
    """Return a random password for somebody to type once."""
    return secrets.token_urlsafe(15)
