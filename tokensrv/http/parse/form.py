"""Forms: ``application/x-www-form-urlencoded``, read from the raw bytes.

It owns the splitting into names and values and the strict form of the OAuth endpoints, where a
parameter given twice is an error (RFC 6749 §3.2). What the parameters mean is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

MAX_BYTES = 64 * 1024
MEDIA_TYPE = "application/x-www-form-urlencoded"


class FormProblem(StrEnum):
    """Why a body is no form."""

    CONTENT_TYPE = "content_type"
    TOO_LARGE = "too_large"


class Form(NamedTuple):
    """The parameters of a form, each with all its values in their order.

    ``repeated`` are the names that were given more than once.
    """

    values: Mapping[str, tuple[str, ...]]
    repeated: tuple[str, ...] = ()

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a parameter, none when it was not given."""
        return self.values.get(name, ())

    def get(self, name: str) -> str | None:
        """Return the value of a parameter, None when it was not given."""
        found = self.values.get(name)
        return found[0] if found else None


def read(content_type: str | None, body: bytes) -> Form | FormProblem:
    """Return the form, or why it is none.

    Bytes that are no UTF-8 become replacement letters, which no secret, scope or name contains.
    """
    if len(body) > MAX_BYTES:
        return FormProblem.TOO_LARGE
    if body and media_type(content_type) != MEDIA_TYPE:
        return FormProblem.CONTENT_TYPE
    if body.isascii() and b"%" not in body and b"+" not in body:
        # Tokens and client ids are never encoded, so that this is the usual form.
        texts = [field.partition("=") for field in body.decode().split("&") if field]
        once = {name: (value,) for name, _, value in texts}
        if len(once) == len(texts):
            return Form(once)
    values: dict[str, list[str]] = {}
    for name, value in pairs(body):
        values.setdefault(name.decode("utf-8", "replace"), []).append(
            value.decode("utf-8", "replace")
        )
    repeated = tuple(name for name, several in values.items() if len(several) > 1)
    return Form({name: tuple(several) for name, several in values.items()}, repeated)


@lru_cache(maxsize=64)
def media_type(content_type: str | None) -> str:
    """Return the media type without its parameters, in lower case, or nothing."""
    return (content_type or "").partition(";")[0].strip().lower()


def pairs(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the decoded names and values of a form or a query string, in their order."""
    for field in raw.split(b"&"):
        if field:
            name, _, value = field.replace(b"+", b" ").partition(b"=")
            yield unquote_to_bytes(name), unquote_to_bytes(value)
