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
    """Return what is presented by these headers, None where neither was sent.

    ``Authorization`` is Bearer (RFC 6750 §2.1) or Basic (RFC 7617) with any username but an empty
    one. The same secret may come twice. A blank header cannot be read, also beside a good one: some
    servers hand over as nothing what they cannot read.
    """
    if private_token is None:
        return None if authorization is None else _authorization(authorization.strip())
    token = Credential(private_token.strip())
    found = token if authorization is None else _authorization(authorization.strip())
    is_same = isinstance(found, Credential) and found.secret == token.secret != ""
    return found if is_same else Unreadable()


def _authorization(header: str) -> Credential | Unreadable:
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
