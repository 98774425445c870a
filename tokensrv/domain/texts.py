"""Free texts: names, descriptions and reasons as people type them."""

from __future__ import annotations

from tokensrv.errors import Invalid


def is_storable(text: str) -> bool:
    """Return whether every database can store it: no NUL, no lone surrogate."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def check(field: str, text: str, maximum: int, *, may_be_empty: bool = False) -> None:
    """Raise Invalid unless the text is storable, not blank and at most so many letters long."""
    is_there = may_be_empty or bool(text.strip())
    if not is_there or len(text) > maximum or not is_storable(text):
        raise Invalid(field)
