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
from tokensrv.oauth import signed
from tokensrv.oauth.callers import CLIENT_METHODS, INTROSPECTING_BEARER, ClientCaller, TokenCaller
from tokensrv.oauth.server import FormRequest, invalid_request
from tokensrv.services.introspection import introspect
from tokensrv.services.signing_keys import signer_for

# Status, body and headers.
Response = tuple[int, Answer | str, list[tuple[str, str]]]
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
        )

    def create_endpoint_response(self, request: OAuth2Request) -> Response:
        """Return status, body and headers: JSON, or a JWT for whoever would rather have that.

        Raises ApiError, StorageUnavailable, KeyUnavailable; without a key nothing was asked yet.
        """
        asked = cast(FormRequest, request)
        client = cast(Asker, self.authenticate_endpoint_client(asked))  # type: ignore[no-untyped-call]  # its stub
        sign = _signing(client) if signed.is_preferred(http_request.accept_mimetypes) else None
        answer = self.authenticate_token(asked, client)
        headers = [("Vary", "Accept"), ("X-Accel-Expires", str(_keep_seconds(answer)))]
        if sign is None:
            return 200, answer, headers
        return 200, sign(answer), [*headers, ("Content-Type", signed.MEDIA_TYPE)]

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


def _keep_seconds(answer: Answer) -> int:
    """Return for how many seconds a proxy may keep the answer.

    None at all unless the instance gives up, by its setting, that a revocation counts at once;
    and never an answer whose every use goes on record.
    """
    if context.settings().soft_exp_seconds is None or not answer["active"] or "act" in answer:
        return 0
    return int(answer["expires_in"])
