"""Credential: the one secret that a request at a gate presents, however it is wrapped.

Pure functions. Tokens in the URL do not count here: the URL is of somebody else's service.
"""

from __future__ import annotations

from typing import NamedTuple

from werkzeug.datastructures import Authorization


class Credential(NamedTuple):
    """A secret, and the username that came with it (Basic), None without one."""

    secret: str
    username: str | None = None


class Unreadable(NamedTuple):
    """Something was presented, but it is no credential, or it is two that differ."""


def read(authorization: str | None, private_token: str | None) -> Credential | Unreadable | None:
    """Return what is presented by these headers, None for nothing; a blank header is none.

    ``Authorization`` is Bearer (RFC 6750 §2.1) or Basic (RFC 7617) with any username but an empty
    one. The same secret may come twice.
    """
    from_header = _authorization((authorization or "").strip())
    if not (token := (private_token or "").strip()):
        return from_header
    if from_header is None:
        return Credential(token)
    is_same = isinstance(from_header, Credential) and from_header.secret == token
    return from_header if is_same else Unreadable()


def _authorization(header: str) -> Credential | Unreadable | None:
    if not header:
        return None
    if not header.isascii():
        # Neither Bearer nor Basic has such letters, and werkzeug fails at those of Basic.
        return Unreadable()
    found = Authorization.from_header(header)
    if found is None:
        return Unreadable()
    if found.type == "bearer" and found.token:
        return Credential(found.token)
    if found.type == "basic" and found.username and found.password:
        return Credential(found.password, found.username)
    return Unreadable()
