"""Revocation (RFC 7009): Authlib's endpoint, done by the service.

Callers are clients, and users with a token of their own. Whatever a caller may not revoke is
answered like a token that nobody knows: 200, so that nobody learns which tokens exist.
"""

from __future__ import annotations

from contextlib import suppress
from typing import cast

from authlib.oauth2.rfc7009 import RevocationEndpoint

from tokensrv.domain.facts import TokenFacts, TokenKind
from tokensrv.errors import NotFound
from tokensrv.http import context
from tokensrv.oauth.callers import BEARER, CLIENT_METHODS, ClientCaller, TokenCaller
from tokensrv.oauth.server import FormRequest, invalid_request
from tokensrv.services.lifecycle import tokens

Revoker = ClientCaller | TokenCaller


class Revocation(RevocationEndpoint):
    """The end of a token, by whoever holds it and may end it."""

    CLIENT_AUTH_METHODS = (*CLIENT_METHODS, BEARER)

    def authenticate_token(self, request: FormRequest, client: Revoker) -> TokenFacts | None:
        """Return the token that this caller may revoke, None when there is none.

        Raises ApiError (400) without a token, and for a sudo: nobody revokes as somebody else.
        """
        request.require_token()
        if request.question.ask is not None:
            raise invalid_request("Sudo is not possible here.")
        token = request.facts.token
        if token is None or not client.may_revoke(token):
            return None
        if token.kind == TokenKind.IMPERSONATION and client.presents(token):
            raise invalid_request("An impersonation token cannot revoke itself.")
        return token

    def revoke_token(self, token: TokenFacts, request: FormRequest) -> None:
        """Revoke the token; one that was deleted meanwhile is as good as revoked."""
        client = cast(Revoker, request.client)
        with suppress(NotFound):
            tokens.revoke(context.store(), client.origin, token.id)
