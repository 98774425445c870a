"""Forwarded: what a proxy asks at ``/gate/auth``, read from its WSGI environment.

It owns where the original request and the required scopes stand. A proxy asks at the very path,
with the original request in headers and its operator's wishes in the query, or below it, with the
original path behind it; the query is the client's own then, and says nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl

from tokensrv.config import Settings
from tokensrv.domain.gates import Obstacle
from tokensrv.gate import original, table
from tokensrv.gate.original import Original

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PATH: Final = "/gate/auth"

# RFC 6749 §3.3. What is none can be held by no token, and must not get into a header.
_SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")


class Asked(NamedTuple):
    """An original request and what it requires; ``obstacle``: nobody can be let in to that."""

    original: Original
    scopes: tuple[str, ...] = ()
    is_basic: bool = False
    obstacle: Obstacle | None = None


class _Wanted(NamedTuple):
    scopes: tuple[str, ...] | Obstacle = ()
    is_basic: bool = False


def is_here(path: str) -> bool:
    """Return whether a path is the one that proxies ask at, or below it."""
    return path.startswith(PATH) and path[len(PATH) :][:1] in {"", "/"}


def read(environ: WSGIEnvironment, settings: Settings) -> Asked:
    """Return what is asked, whether or not somebody may be let in to it.

    The scopes of the query only ever add to those of the table: with some proxies a client can
    write a query.
    """
    below = environ["PATH_INFO"][len(PATH) :]
    wanted = _Wanted() if below else _wanted(environ.get("QUERY_STRING", ""))
    told = _below(environ, below) if below else original.read(environ)
    if told is None:
        return Asked(Original(), (), wanted.is_basic, Obstacle.REQUEST)
    needed = table.required(settings.gate_scopes, told)
    for found in (wanted.scopes, needed):
        if isinstance(found, Obstacle):
            return Asked(told, (), wanted.is_basic, found)
    scopes = tuple(dict.fromkeys((*wanted.scopes, *needed)))
    return Asked(told, scopes, wanted.is_basic)


def _below(environ: WSGIEnvironment, path: str) -> Original | None:
    """Return the request that asks itself; None when headers tell of another one."""
    asking = original.of_path(environ["REQUEST_METHOD"], path)
    headers = original.read(environ)
    if headers is None:
        return None
    methods, paths = {"", asking.method}, {"", asking.path}
    return asking if headers.method in methods and headers.path in paths else None


@lru_cache(maxsize=64)
def _wanted(query: str) -> _Wanted:
    pairs = parse_qsl(query, keep_blank_values=True)
    texts = [value for name, value in pairs if name == "scope"]
    scopes = tuple(scope for text in texts for scope in text.split())
    is_basic = "basic" in [value for name, value in pairs if name == "challenge"][:1]
    is_clear = all(text.strip() for text in texts) and all(map(_SCOPE.fullmatch, scopes))
    return _Wanted(scopes if is_clear else Obstacle.REQUEST, is_basic)
