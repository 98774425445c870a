"""Passwords: how one is judged, stored and verified.

People choose passwords, so they get a slow hash (argon2id), unlike secrets, which are random.
Hashing takes memory and a thread, so only so many run at a time, and whoever finds no place soon is
told to come again: a flood of sign-ins must not keep a worker from everything else. There are no
rules of composition: a password must be long enough, and nothing that whoever guesses tries first
(OWASP ASVS 6.2).
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from tokensrv.errors import InvalidRecord, StorageUnavailable
from tokensrv.services.directory.common_passwords import is_common

MIN_LENGTH = 8
MAX_LENGTH = 128

# OWASP's parameters: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Half of the threads that a worker has if nobody says otherwise.
_PLACES: Final = threading.BoundedSemaphore(2)
# A hash takes a tenth of it.
_PATIENCE_SECONDS: Final = 0.5
_PRODUCT = "tokensrv"


def check(password: str) -> None:
    """Raise InvalidRecord unless anybody may have this password."""
    if len(password) < MIN_LENGTH:
        raise InvalidRecord("password", f"is too short (minimum is {MIN_LENGTH} characters)")
    if len(password) > MAX_LENGTH:
        raise InvalidRecord("password", f"is too long (maximum is {MAX_LENGTH} characters)")
    if is_common(password):
        problem = "must not contain commonly used combinations of words and letters"
        raise InvalidRecord("password", problem)


def check_against(password: str, *, username: str, email: str) -> None:
    """Raise InvalidRecord for a password that is what its user is called, or this service is."""
    named = {username, email, email.rpartition("@")[0], _PRODUCT}
    if password.casefold() in {name.casefold() for name in named}:
        raise InvalidRecord("password", "must not be the username or the e-mail address")


def store_form(password: str) -> str:
    """Return what is stored of a password.

    Raises InvalidRecord when nobody may have it, StorageUnavailable when too many are hashed now.
    """
    check(password)
    with _place():
        return _HASHER.hash(_bytes(password))


def verify(stored: str | None, password: str) -> bool:
    """Return whether this is the password of which ``stored`` is kept.

    None, where there is no user or he has no password, takes as long as a wrong one does. Raises
    StorageUnavailable when too many are hashed now.
    """
    with _place():
        if stored is None:
            _HASHER.hash(_bytes(password))
            return False
        try:
            return _HASHER.verify(stored, _bytes(password))
        except VerifyMismatchError:
            return False


def renewed(stored: str, password: str) -> str | None:
    """Return what is to be stored of a right password from now on, None for the same as before.

    The parameters of the hash may have changed since.
    """
    if not _HASHER.check_needs_rehash(stored):
        return None
    with _place():
        return _HASHER.hash(_bytes(password))


def generate() -> str:
    """Return a random password for somebody to type once."""
    return secrets.token_urlsafe(15)


@contextmanager
def _place() -> Iterator[None]:
    if not _PLACES.acquire(timeout=_PATIENCE_SECONDS):
        raise StorageUnavailable("Too many passwords are looked at just now, try again.")
    try:
        yield
    finally:
        _PLACES.release()


def _bytes(password: str) -> bytes:
    # JSON can hold half of a surrogate pair, which UTF-8 has no form of.
    return password.encode(errors="surrogatepass")
