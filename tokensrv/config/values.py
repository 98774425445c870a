"""Values: how the text of a setting becomes what it means, each kind in one function.

A function raises ValueError with the end of a sentence, such as ``must be on or off``.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_ON = frozenset({"on", "true", "yes", "1"})
_OFF = frozenset({"off", "false", "no", "0"})
_STANDARD_BASE64 = str.maketrans("-_", "+/")
_SCOPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}")
_METHODS = re.compile(r"\*|[A-Z][A-Z-]*(,[A-Z][A-Z-]*)*")
# Whole segments, of which none is empty but the last: what a path is judged by.
_PREFIX = re.compile(r"/|(/(?!\.\.?(/|$))[^/\s?#%\\;]+)+/?")
Parser = Callable[[Any], Any]


def flag(value: object) -> bool:
    """Return whether a word or a TOML boolean means on."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _ON | _OFF:
        return value.lower() in _ON
    raise ValueError("must be on or off")


def whole(minimum: int, maximum: int) -> Parser:
    """Return the parser of whole numbers within these bounds, both included."""

    def parse(value: object) -> int:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
            raise ValueError(f"must be a whole number from {minimum} to {maximum}")
        return value

    return parse


def seconds(minimum: float, maximum: float) -> Parser:
    """Return the parser of lengths of time within these bounds, both included."""

    def parse(value: object) -> float:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", value):
            value = float(value)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not minimum <= value <= maximum:  # type: ignore[operator]  # is_number
            raise ValueError(f"must be a number of seconds from {minimum:g} to {maximum:g}")
        return float(value)  # type: ignore[arg-type]  # is_number narrows it, mypy cannot see that

    return parse


def text(pattern: str, wanted: str) -> Parser:
    """Return the parser of texts that match; ``wanted`` describes them."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(f"must be {wanted}")
        return value

    return parse


def words(value: object) -> tuple[str, ...]:
    """Return distinct words: a TOML array, or a text with blanks or commas between them."""
    if isinstance(value, str):
        return tuple(dict.fromkeys(value.replace(",", " ").split()))
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return tuple(dict.fromkeys(value))
    raise ValueError("must be a list of words")


def scopes(value: object) -> tuple[str, ...]:
    """Return words that can be names of scopes."""
    found = words(value)
    for word in found:
        if not _SCOPE.fullmatch(word):
            raise ValueError(f"holds {word!r}, which cannot be the name of a scope")
    return found


def scope_lines(value: object) -> tuple[str, ...]:
    """Return lines ``METHODS PREFIX SCOPE...``: a TOML array, or a text of lines or with ``;``."""
    if isinstance(value, str):
        value = value.replace("\n", ";").split(";")
    if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
        raise ValueError("must be a list of lines")
    return tuple(_scope_line(line) for line in value if line.strip())


def _scope_line(line: str) -> str:
    methods, prefix, *wanted = (*line.split(), "", "")
    names = scopes(" ".join(wanted))
    if not (_METHODS.fullmatch(methods) and _PREFIX.fullmatch(prefix) and names):
        raise ValueError(f"holds {line.strip()!r}, which is not METHODS PREFIX SCOPE...")
    return " ".join((methods, prefix, *names))


def networks(value: object) -> tuple[str, ...]:
    """Return words that are IP addresses or networks."""
    found = words(value)
    for word in found:
        try:
            ipaddress.ip_network(word)
        except ValueError:
            raise ValueError(f"holds {word!r}, which is no IP address or network") from None
    return found


def path(value: object) -> Path:
    """Return a path."""
    if not isinstance(value, str) or not value:
        raise ValueError("must be the path of a file")
    return Path(value)


def master_keys(value: object) -> tuple[str, ...]:
    """Return the keys that a text holds, each 32 bytes in base64, of either alphabet.

    Raises ValueError, which does not repeat what is wrong: it may be all but one letter of a key.
    """
    keys = words(value)
    if not keys or not all(map(_is_key, keys)):
        raise ValueError("must be one or more keys of 32 bytes in base64")
    return keys


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text.translate(_STANDARD_BASE64), validate=True)) == 32
    except ValueError:
        return False


def database_url(value: object) -> str:
    """Return the URL of a supported database, in SQLAlchemy's spelling."""
    if not isinstance(value, str):
        raise ValueError("must be a URL")
    scheme, separator, rest = value.partition("://")
    if scheme in {"postgresql", "postgresql+psycopg"} and separator:
        _check_port(value)
        return f"postgresql+psycopg://{rest}"
    if scheme == "sqlite" and rest.startswith("/") and rest not in {"/", "/:memory:"}:
        return value
    raise ValueError(
        f"begins with {scheme}://, but only postgresql://, postgresql+psycopg:// and"
        " sqlite:/// with the path of a file are supported"
    )


def _check_port(url: str) -> None:
    try:
        _ = urlsplit(url).port
    except ValueError:
        raise ValueError("has a port that is no number") from None


def external_url(value: object) -> str:
    """Return an http or https URL without a slash at its end."""
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", value):
        raise ValueError("must be an http or https URL without query")
    return value.rstrip("/")
