"""Introspection (RFC 7662): Authlib's endpoint, answered by the service.

It owns the order of the protocol: who asks, about what, then the answer. Hints are ignored, as
RFC 7662 §2.1 allows: a wrong one must never hide a token.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from authlib.oauth2 import OAuth2Request
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from flask import request as http_request

from tokensrv.domain.introspection import Answer
from tokensrv.http import context
from tokensrv.oauth import plain, signed
from tokensrv.oauth.callers import CLIENT_METHODS, INTROSPECTING_BEARER, ClientCaller, TokenCaller
from tokensrv.oauth.server import FormRequest, invalid_request
from tokensrv.services.introspection import introspect
from tokensrv.services.keys.signing_keys import signer_for

# Status, body and headers.
Response = tuple[int, bytes | str, list[tuple[str, str]]]
Asker = ClientCaller | TokenCaller


class Introspection(IntrospectionEndpoint):
    """What a client is told about a token."""

    CLIENT_AUTH_METHODS = (*CLIENT_METHODS, INTROSPECTING_BEARER)

    def authenticate_token(self, request: FormRequest, client: Asker) -> Answer:
        """Return the answer about the token whose facts came with the client's.

        Raises ApiError (400) without a token, StorageUnavailable.
        """
        request.require_token()
        return introspect(
            context.store(),
            context.usage(),
            request.facts,
            request.question,
            client.origin,
            method=http_request.method,
            path=http_request.path,
            metrics=context.metrics(),
        )

    def create_endpoint_response(self, request: OAuth2Request) -> Response:
        """Return status, body and headers: JSON, or a JWT for whoever would rather have that.

        Raises ApiError, StorageUnavailable, KeyUnavailable; without a key nothing was asked yet.
        """
        asked = cast(FormRequest, request)
        client = cast(Asker, self.authenticate_endpoint_client(asked))  # type: ignore[no-untyped-call]  # its stub
        is_signed = signed.is_preferred(http_request.headers.get("Accept"))
        render = _signing(client) if is_signed else plain.body
        media_type = signed.MEDIA_TYPE if is_signed else plain.MEDIA_TYPE
        answer = self.authenticate_token(asked, client)
        headers = plain.headers(answer, context.settings(), media_type=media_type)
        return 200, render(answer), headers

    def create_introspection_payload(self, token: Answer) -> Answer:
        """Return the answer as it is: expiry and revocation are part of the one decision."""
        return token


def _signing(client: Asker) -> Callable[[Answer], str]:
    """Return what signs an answer for this caller; raises ApiError (400), KeyUnavailable."""
    if not isinstance(client, ClientCaller):
        # RFC 9701 §5: a signed answer names the client that it is for.
        raise invalid_request("Only a client can be given a signed answer.")
    store, asking = context.store(), client.facts
    return partial(
        signed.sign,
        signer=signer_for(store, client.origin, asking.introspection_signed_response_alg),
        issuer=store.settings.external_url,
        audience=asking.client_id,
        now_ms=store.clock.now_ms(),
    )
