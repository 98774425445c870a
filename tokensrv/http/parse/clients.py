"""Clients: how a resource server says who it is (RFC 6749 §2.3), and whether its secret is right.

Exactly one method counts. Basic is read as people really send it: raw, percent-encoded and
form-encoded, which differ only for ids and secrets that were not made here. The facts about the
client come from the one lookup that also brings the token; a signed assertion is only found here
and verified by the edge.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import unquote, unquote_plus

from tokensrv.domain.facts import ClientFacts
from tokensrv.domain.secret import digest
from tokensrv.http.parse.form import Form
from tokensrv.services.directory.client_values import PRIVATE_KEY_JWT, SECRET_METHODS

_BASIC, _POST = SECRET_METHODS
_MOST_READ_BEFORE: Final = 1024


class ClientProblem(StrEnum):
    """Why there is nobody to authenticate."""

    NONE = "none"
    MALFORMED = "malformed"
    TWO_METHODS = "two_methods"


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """A client id and the digests of the secrets that may have been meant."""

    client_id: str
    digests: tuple[bytes, ...] = field(repr=False)
    method: str


@dataclass(frozen=True, slots=True)
class ClientAssertion:
    """A signed assertion (RFC 7521 §4.2); ``client_id`` None: it alone says whose it is."""

    client_id: str | None
    assertion: str = field(repr=False)
    method: str = PRIVATE_KEY_JWT


# What Basic headers say, by the digest of each.
_read_before: dict[bytes, ClientCredentials | ClientProblem] = {}


def read(
    authorization: str | None, form: Form, *, tolerates_both: bool = False
) -> ClientCredentials | ClientAssertion | ClientProblem:
    """Return who a client says it is, from the header and the form.

    A blank header or parameter counts as absent (RFC 6749 §2.3.1); another scheme than Basic
    is a method that is not known here. ``tolerates_both``: the same id and secret in both places
    count as Basic.
    """
    client_id, secret = form.get("client_id"), form.get("client_secret")
    has_header = bool((authorization or "").strip())
    if assertion := form.get("client_assertion"):
        is_alone = not has_header and not secret
        return ClientAssertion(client_id, assertion) if is_alone else ClientProblem.TWO_METHODS
    if not has_header:
        return _from_form(client_id, secret)
    found = _from_basic(authorization or "")
    if secret:
        is_tolerated = tolerates_both and _is_same(found, client_id, secret)
        return found if is_tolerated else ClientProblem.TWO_METHODS
    if client_id and isinstance(found, ClientCredentials) and client_id != found.client_id:
        return ClientProblem.TWO_METHODS
    return found


def is_client_id(text: str) -> bool:
    """Return whether this can be the id of a client (RFC 6749 appendix A.1)."""
    return text.isascii() and text.isprintable() and text != ""


def authenticates(client: ClientFacts | None, digests: tuple[bytes, ...]) -> bool:
    """Return whether one of the secrets is the client's; never for a disabled or unknown one."""
    known = client.secret_digests if client is not None and not client.is_disabled else ()
    # Every pair is compared, so that the time does not tell which one it was.
    matches = [hmac.compare_digest(one, two) for one in digests for two in known]
    return True in matches


def _from_form(client_id: str | None, secret: str | None) -> ClientCredentials | ClientProblem:
    if not secret:
        # An id alone authenticates nobody: there are no public clients.
        return ClientProblem.NONE
    return _credentials(client_id or "", (secret,), _POST)


def _from_basic(authorization: str) -> ClientCredentials | ClientProblem:
    # A client sends the same header every time, and no secret is kept to know it again by.
    key = digest(authorization)
    found = _read_before.get(key)
    if found is None:
        found = _read_basic(authorization)
        if len(_read_before) >= _MOST_READ_BEFORE:
            _read_before.clear()
        _read_before[key] = found
    return found


def _read_basic(authorization: str) -> ClientCredentials | ClientProblem:
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return ClientProblem.NONE
    try:
        decoded = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return ClientProblem.MALFORMED
    client_id, colon, secret = decoded.partition(":")
    if not colon or not secret:
        return ClientProblem.MALFORMED
    if "%" not in decoded and "+" not in decoded:
        # Whatever was made here is the same in every encoding.
        return _credentials(client_id, (secret,), _BASIC)
    candidates = (secret, _decoded(unquote, secret), _decoded(unquote_plus, secret))
    secrets = tuple(dict.fromkeys(candidates))
    return _credentials(_decoded(unquote_plus, client_id), secrets, _BASIC)


def _is_same(found: ClientCredentials | ClientProblem, client_id: str | None, secret: str) -> bool:
    if isinstance(found, ClientProblem):
        return False
    return found.client_id == client_id and digest(secret) in found.digests


def _decoded(unquoted: Callable[..., str], text: str) -> str:
    return unquoted(text, errors="replace")


def _credentials(
    client_id: str, secrets: tuple[str, ...], method: str
) -> ClientCredentials | ClientProblem:
    if not is_client_id(client_id):
        return ClientProblem.MALFORMED
    return ClientCredentials(client_id, tuple(map(digest, secrets)), method)
