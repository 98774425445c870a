"""Free texts: names, descriptions and reasons as people type them."""

from __future__ import annotations

import re
from typing import Final

from tokensrv.errors import Invalid

# Control characters are no part of a line; those of the writing direction would turn what stands
# around it.
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+")


def is_storable(text: str) -> bool:
    """Return whether every database can store it: no NUL, no lone surrogate."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def check(field: str, text: str, maximum: int, *, may_be_empty: bool = False) -> None:
    """Raise Invalid unless the text is storable, not blank and at most so many letters long."""
    is_there = may_be_empty or bool(text.strip())
    if not is_there or len(text) > maximum or not is_storable(text):
        raise Invalid(field)


def plain(text: str) -> str:
    """Return a text for where nothing can be set apart: on one line, in one direction."""
    return _CONTROLS.sub(" ", text)
