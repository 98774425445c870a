"""Usernames and the ways to name a user.

A username has no comma (so that two joined headers can never look like one name), no blank and
is never all digits (so that an id can never be mistaken for a name).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# What a username looks like, beside not being a number.
PATTERN: Final = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}"

_USERNAME = re.compile(PATTERN, re.ASCII)
_ID = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Target:
    """A user as somebody named him: by id or by name, whichever is not None."""

    text: str
    id: int | None
    key: str | None


def is_username(text: str) -> bool:
    """Return whether a user may be called so."""
    return bool(_USERNAME.fullmatch(text)) and not text.isdigit()


def key(text: str) -> str:
    """Return what usernames and e-mail addresses are compared by: their case does not count."""
    return text.lower()


def target(text: str) -> Target:
    """Return whom ``text`` names: all digits an id, else a username in any case."""
    if _ID.fullmatch(text):
        return Target(text, int(text), None)
    return Target(text, None, key(text))
