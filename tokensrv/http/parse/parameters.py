"""Parameters: what a request of the GitLab dialect says, wherever it says it.

GitLab merges query, form and JSON body into one set. So do we, but a name given twice stays
visible: which of two values wins would depend on who reads them, and nobody may guess that
about a credential or a sudo. Types and meanings are the schemas' business.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from werkzeug.exceptions import HTTPException
from werkzeug.formparser import MultiPartParser
from werkzeug.http import parse_options_header

from tokensrv.domain.texts import is_storable
from tokensrv.http.answers import error, invalid, unreadable_body
from tokensrv.http.parse import form, json_object

MAX_BYTES = 1024 * 1024
MAX_FIELDS = 1000

_Pairs = Iterable[tuple[str, Any]]


class _Unreadable:
    """Stands for a value that is no text: not UTF-8, a NUL, half of a surrogate pair."""


UNREADABLE: Final = _Unreadable()


@dataclass(frozen=True, slots=True)
class Given:
    """One value and whether it stood in the URL."""

    value: Any
    is_in_query: bool


@dataclass(frozen=True, slots=True)
class Parameters:
    """Every parameter of a request with all values that were given for it."""

    given: Mapping[str, tuple[Given, ...]]

    def all(self, name: str, *, in_query: bool = True) -> tuple[Any, ...]:
        """Return every value of a parameter; ``in_query`` False: of the body alone."""
        found = self.given.get(name, ())
        return tuple(one.value for one in found if in_query or not one.is_in_query)

    def merged(self, known: Iterable[str]) -> dict[str, Any]:
        """Return the values of the parameters that a route knows; it ignores all others.

        Raises ApiError (400) for one that was given twice or cannot be read.
        """
        found = {name: self.given[name] for name in known if name in self.given}
        wrong = [
            name
            for name, values in found.items()
            if len(values) > 1 or not _is_text(values[0].value)
        ]
        if wrong:
            raise invalid(*(f"{name} is invalid" for name in wrong))
        return {name: values[0].value for name, values in found.items()}


def read(query: bytes, content_type: str | None, body: bytes) -> Parameters:
    """Return the parameters of a request.

    Raises ApiError: 400 for a body that is not what its content type says, 415 for a content
    type that is not known. An empty body is none, whatever its content type.
    """
    given: dict[str, list[Given]] = {}
    for name, value in _folded(_urlencoded(query)):
        given.setdefault(name, []).append(Given(value, is_in_query=True))
    for name, value in _read_body(content_type, body) if body else ():
        given.setdefault(name, []).append(Given(value, is_in_query=False))
    return Parameters({name: tuple(values) for name, values in given.items()})


def _read_body(content_type: str | None, body: bytes) -> _Pairs:
    media_type = form.media_type(content_type)
    if media_type == "application/json" or media_type.endswith("+json"):
        return json_object.read(body)
    if media_type == form.MEDIA_TYPE:
        return _folded(_urlencoded(body))
    if media_type == "multipart/form-data":
        return _folded(_multipart(content_type or "", body))
    raise error(415, f"The provided content-type '{media_type}' is not supported.")


def _urlencoded(raw: bytes) -> Iterator[tuple[str, Any]]:
    if raw.count(b"&") >= MAX_FIELDS:
        raise unreadable_body()
    for name, value in form.pairs(raw):
        yield name.decode("utf-8", "replace"), _decoded(value)


def _decoded(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return UNREADABLE


def _multipart(content_type: str, body: bytes) -> _Pairs:
    try:
        boundary = parse_options_header(content_type)[1].get("boundary", "").encode("ascii")
        if not body.rstrip().endswith(b"--" + boundary + b"--"):
            # What comes after the end would be read by nobody.
            raise ValueError("unfinished, or more than finished")
        parser = MultiPartParser(_in_memory, max_form_parts=MAX_FIELDS)
        fields, files = parser.parse(io.BytesIO(body), boundary, len(body))
    except (ValueError, KeyError, HTTPException):
        raise unreadable_body() from None
    # No parameter is a file, but one of that name was given all the same.
    return [*fields.items(multi=True), *((name, UNREADABLE) for name in files)]


def _in_memory(*_: object, **__: object) -> io.BytesIO:
    # The body is limited and in memory already.
    return io.BytesIO()


def _folded(pairs: _Pairs) -> Iterator[tuple[str, Any]]:
    """Yield ``x[]=a&x[]=b`` as one list; ``x[key]=a`` as an object, which no parameter takes."""
    lists: dict[str, list[Any]] = {}
    for written, value in pairs:
        if not written or written.startswith("{"):
            # A part without a name, or JSON that was sent as a form: nobody meant this.
            raise unreadable_body()
        name, bracket, rest = written.partition("[")
        if rest == "]":
            lists.setdefault(name, []).append(value)
        else:
            yield name, {rest: value} if bracket else value
    yield from lists.items()


def _is_text(value: Any, depth: int = 4) -> bool:
    """Return whether every text in a value is one; no parameter nests deeper than a set of keys."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        return depth > 0 and all(_is_text(item, depth - 1) for item in value)
    return value is not UNREADABLE and not (isinstance(value, str) and not is_storable(value))
