"""Assertions: clients that sign who they are with a key of their own (RFC 7523 §2.2).

Authlib reads an assertion and asks for the client that it names. What it leaves open is decided
here: which algorithms count, by whose clock, for a single audience, and that none is used twice.
Whoever fails learns no more than that.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache, partial
from typing import Any, Final, cast

from authlib.oauth2.rfc6749 import InvalidClientError
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from flask import request as http_request
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry, decode

from tokensrv.clock import from_ms
from tokensrv.domain.texts import is_storable
from tokensrv.http import context
from tokensrv.http.parse.clients import ClientAssertion, is_client_id
from tokensrv.oauth.callers import ClientCaller
from tokensrv.oauth.server import EndpointRequest, Server
from tokensrv.services import assertions
from tokensrv.services.directory.client_values import PRIVATE_KEY_JWT
from tokensrv.services.keys.client_keys import ALGORITHMS

Claims = dict[str, Any]

# How far the clock of a client may be off, in seconds.
SKEW: Final = 30
# The furthest into the future that an assertion may reach, in seconds: it is remembered so long.
MAX_LIFETIME: Final = 3600

_REQUIRED: Final[ClaimsOption] = {"essential": True}
# What the parts of a hostile assertion make of a library that expects them to be well-formed.
_HOSTILE: Final = (JoseError, ValueError, TypeError, AttributeError, LookupError, RecursionError)


def register(server: Server) -> None:
    """Make the method known to a server."""
    server.register_client_auth_method(PRIVATE_KEY_JWT, PrivateKeyJwt(leeway=SKEW))


class PrivateKeyJwt(JWTBearerClientAssertion):
    """The client authentication ``private_key_jwt``."""

    CLIENT_AUTH_METHOD = PRIVATE_KEY_JWT  # type: ignore[misc]  # Authlib's manual says to set it

    def __call__(self, query_client: object, request: EndpointRequest) -> ClientCaller | None:
        """Return the client that signed, None for one that says who it is in another way.

        Raises InvalidClientError, StorageUnavailable.
        """
        found = request.presented
        if not isinstance(found, ClientAssertion):
            return None
        # In place of Authlib's query the one lookup, which also brings what is asked about.
        find = partial(_find, request, found)
        return cast(ClientCaller, super().__call__(find, request))  # type: ignore[no-untyped-call]  # its stub

    def extract_assertion(self, assertion: str) -> tuple[dict[str, Any], Claims]:
        """Return header and claims, of which nothing is verified yet."""
        try:
            return super().extract_assertion(assertion)
        except _HOSTILE:
            raise InvalidClientError from None

    def resolve_client_public_key(self, client: ClientCaller) -> tuple[Key, ...]:
        """Return the keys of the client."""
        return _keys(client.facts.jwks or "")

    def process_assertion_claims(self, assertion: str, resolve_key: Iterable[Key]) -> Claims:
        """Return the claims of an assertion that one of the keys has signed.

        Every key is tried: the header's key id is a hint, and often there is none. Which
        algorithms fit a key is the key's own business.
        """
        for key in resolve_key:
            try:
                claims = decode(assertion, key, algorithms=ALGORITHMS).claims
            except _HOSTILE:
                continue
            self.verify_claims(claims)
            return claims
        raise InvalidClientError

    def verify_claims(self, claims: Claims) -> None:
        """Raise InvalidClientError unless the claims are good, for the first time (RFC 7523 §3)."""
        now = context.store().clock.now_ms() // 1000
        issuer = context.settings().external_url
        # The endpoint is named as clients know it, never as the Host header does.
        audiences = [issuer, issuer + http_request.path]
        registry = JWTClaimsRegistry(
            now,
            SKEW,
            iss={"essential": True, "value": claims["sub"]},
            aud={"essential": True, "values": audiences},
            exp=_REQUIRED,
            jti=_REQUIRED,
        )
        try:
            registry.validate(claims)
        except JoseError:
            raise InvalidClientError from None
        is_too_long = claims["exp"] > now + MAX_LIFETIME + SKEW
        if is_too_long or _has_several(claims["aud"]):
            raise InvalidClientError
        if not self.validate_jti(claims, claims["jti"]):
            raise InvalidClientError

    def validate_jti(self, claims: Claims, jti: str) -> bool:
        """Return whether this id of an assertion is used for the first time, on any node."""
        ends_at = from_ms(int((claims["exp"] + SKEW) * 1000))
        is_text = bool(jti) and is_storable(jti)
        return is_text and assertions.use(context.store(), claims["sub"], jti, ends_at)


def _find(request: EndpointRequest, found: ClientAssertion, client_id: str) -> ClientCaller | None:
    """Return the client that an assertion names; the form may name the same one, and no other."""
    if not is_client_id(client_id) or found.client_id not in {None, "", client_id}:
        return None
    client = request.look_up(client_id)
    return None if client is None or client.is_disabled else ClientCaller(client)


@lru_cache(maxsize=1024)
def _keys(jwks: str) -> tuple[Key, ...]:
    """Return the keys of a stored JWK set; a changed set is another text, so none is ever stale."""
    found = json.loads(jwks)["keys"] if jwks else ()
    return tuple(JWKRegistry.import_key(key) for key in found)


def _has_several(audience: str | list[str]) -> bool:
    return not isinstance(audience, str) and len(audience) != 1
