"""Profiles: what a user is called and may say of himself, and how much of it.

It only judges and sets the values; whether a name is free is the unique indexes' judgement.
"""

from __future__ import annotations

from typing import Any

from tokensrv.domain import texts
from tokensrv.domain.usernames import is_username, key
from tokensrv.errors import Invalid, InvalidRecord
from tokensrv.models import User

EMAIL_LENGTH = 254
TEXT_LENGTH = 255
BIO_LENGTH = 2_000

# What a profile may say, with the longest text of each; everything here is optional.
PROFILE_TEXTS = {
    "note": BIO_LENGTH,
    "bio": BIO_LENGTH,
    "location": TEXT_LENGTH,
    "organization": TEXT_LENGTH,
    "job_title": TEXT_LENGTH,
    "website_url": BIO_LENGTH,
    "public_email": EMAIL_LENGTH,
}
PROFILE_FLAGS = ("external", "private_profile")


def set_identity(user: User, *, username: str | None, email: str | None, name: str | None) -> None:
    """Give a user those names that are not None; raises InvalidRecord."""
    if username is not None:
        if not is_username(username):
            raise InvalidRecord("username", "is invalid")
        user.username, user.username_key = username, key(username)
    if email is not None:
        _check_email("email", email)
        user.email, user.email_key = email, key(email)
    if name is not None:
        _check("name", name, TEXT_LENGTH, may_be_empty=False)
        user.name = name


def _check_email(name: str, email: str) -> None:
    _check(name, email, EMAIL_LENGTH, may_be_empty=False)
    local, at, domain = email.rpartition("@")
    is_address = at and local and domain and not any(letter.isspace() for letter in email)
    # Some letters become two in lower case.
    if not is_address or len(key(email)) > EMAIL_LENGTH:
        raise InvalidRecord(name, "is invalid")


def set_profile(user: User, profile: dict[str, Any]) -> None:
    """Give a user these optional values, None for no value at all; raises InvalidRecord."""
    for name, value in profile.items():
        if name in PROFILE_FLAGS:
            setattr(user, name, bool(value))
        elif name in PROFILE_TEXTS:
            _check(name, value or "", PROFILE_TEXTS[name], may_be_empty=True)
            if name == "public_email" and value:
                _check_email(name, value)
            may_be_null = User.__table__.c[name].nullable
            setattr(user, name, value if may_be_null else value or "")
        else:
            raise InvalidRecord(name)


def _check(name: str, value: str, maximum: int, *, may_be_empty: bool) -> None:
    if not may_be_empty and not value.strip():
        raise InvalidRecord(name, "can't be blank")
    if len(value) > maximum:
        raise InvalidRecord(name, f"is too long (maximum is {maximum} characters)")
    try:
        texts.check(name, value, maximum, may_be_empty=True)
    except Invalid as invalid:
        raise InvalidRecord(name, invalid.problem) from None
