"""Callers: the ways to authenticate at an OAuth endpoint, as methods for Authlib's server.

Each method makes the one lookup that brings the caller and, beside him, the token in question;
the facts stay with the request for the endpoint. A method returns None for whom it does not
know, and Authlib asks the next one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from authlib.oauth2.rfc6749 import ClientMixin
from flask import request as http_request

from tokensrv.domain.caller import Caller, Refusal, decide
from tokensrv.domain.facts import NAMELESS, ClientFacts, Facts, TokenFacts, TokenKind
from tokensrv.domain.introspection import is_for
from tokensrv.domain.scopes import missing
from tokensrv.domain.secret import token_digest
from tokensrv.http import context
from tokensrv.http.answers import challenge, insufficient_scope
from tokensrv.http.parse import clients
from tokensrv.http.parse.clients import ClientCredentials
from tokensrv.oauth.server import EndpointRequest, FormRequest, Server
from tokensrv.services.authority import policy
from tokensrv.services.directory.client_values import AUTH_METHODS, SECRET_METHODS
from tokensrv.services.lifecycle.tokens import may_revoke
from tokensrv.services.trail import sudo
from tokensrv.services.trail.events import Origin

BEARER: Final = "bearer"
INTROSPECTING_BEARER: Final = "introspecting_bearer"

# Clients that send two methods are refused by the first of these, so they come before a bearer.
CLIENT_METHODS: Final = AUTH_METHODS


@dataclass(frozen=True, slots=True)
class ClientCaller(ClientMixin):
    """An internal service that said who it is."""

    facts: ClientFacts

    @property
    def origin(self) -> Origin:
        """Return where what it causes comes from."""
        return replace(context.origin(), client_id=self.facts.client_id)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Return whether it may say who it is in this way, which it just did."""
        return method in self.facts.auth_methods

    def presents(self, token: TokenFacts) -> bool:
        """Return whether the token is its credential: it never is."""
        return False

    def may_revoke(self, token: TokenFacts) -> bool:
        """Return whether it was allowed, by name, to revoke the tokens that are meant for it."""
        return "revoke" in self.facts.allow and is_for(token, self.facts)


@dataclass(frozen=True, slots=True)
class TokenCaller(ClientMixin):
    """A user who presents a token of his own."""

    caller: Caller
    token: TokenFacts

    @property
    def origin(self) -> Origin:
        """Return where what he causes comes from."""
        return replace(context.origin(), caller=self.caller)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Return whether he may use this method here: every token may."""
        return True

    def presents(self, token: TokenFacts) -> bool:
        """Return whether the token is his very credential."""
        return token.id == self.token.id

    def may_revoke(self, token: TokenFacts) -> bool:
        """Return whether it is his credential, or another token that he may end."""
        is_his = may_revoke(self.caller, user_id=token.user_id, kind=token.kind)
        return self.presents(token) or is_his

    @property
    def may_introspect(self) -> bool:
        """Return whether he is an admin now, with a token of his own that has this power here."""
        is_own = self.token.kind != TokenKind.EXCHANGED and not self.token.audience
        return is_own and self.caller.actor.is_admin and "introspect" in self.caller.scopes

    @property
    def may_revoke_others(self) -> bool:
        """Return whether his token has that power: as in the API, unless it is for others."""
        return not self.token.audience and not missing(("api",), self.caller.scopes)


def register(server: Server) -> None:
    """Make the methods known to a server."""
    for method in SECRET_METHODS:
        server.register_client_auth_method(method, partial(_by_secret, method))
    server.register_client_auth_method(BEARER, _by_bearer)
    server.register_client_auth_method(INTROSPECTING_BEARER, _by_introspecting_bearer)


def _by_secret(method: str, _query_client: object, request: EndpointRequest) -> ClientCaller | None:
    """Return the client that has this secret (RFC 6749 §2.3.1)."""
    found = request.presented
    if not isinstance(found, ClientCredentials) or found.method != method:
        return None
    client = request.look_up(found.client_id)
    if client is None or not clients.authenticates(client, found.digests):
        return None
    return ClientCaller(client)


def _by_bearer(_query_client: object, request: FormRequest) -> TokenCaller | None:
    """Return the user whose token stands in the header (RFC 6750 §2.1).

    Raises ApiError: 401 for a dead token, 403 for one that may end nothing but itself.
    """
    secret = _bearer()
    if secret is None:
        return None
    presented = token_digest(secret)
    own = _find(presented)
    caller = _admit(own)
    request.require_token()
    if request.digest == presented:
        request.facts = own
    elif caller.may_revoke_others:
        request.look_up_token()
    else:
        # Said before it is known whether there is such a token.
        raise insufficient_scope("api")
    return caller


def _by_introspecting_bearer(_query_client: object, request: FormRequest) -> TokenCaller | None:
    """Return the admin whose token asks in place of a client (RFC 7662 §2.1).

    Raises ApiError: 401 for a dead token and for one that is asked about itself, since nobody
    vouches for himself; 403 for one without that power.
    """
    secret = _bearer()
    if secret is None:
        return None
    presented = token_digest(secret)
    caller = _admit(_find(presented))
    if not caller.may_introspect:
        raise insufficient_scope("introspect")
    request.require_token()
    if request.digest == presented:
        raise challenge(401, "invalid_token", "The access token is the one that is asked about.")
    request.look_up_token()
    request.facts = request.facts._replace(client=NAMELESS)
    return caller


def _bearer() -> str | None:
    scheme, _, value = http_request.headers.get("Authorization", "").strip().partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def _admit(facts: Facts) -> TokenCaller:
    """Return the user of a good token, which counts as its use; raises ApiError (401)."""
    store = context.store()
    decision = decide(
        facts.token,
        facts.owner,
        None,
        None,
        now_ms=store.clock.now_ms(),
        policy=policy(store),
        exchange=facts.exchange,
        remote_ip=context.remote_address(),
    )
    if isinstance(decision, Caller) and decision.is_sudo:
        # An exchanged token acts as its owner, which goes on record before anything else.
        decision = sudo.use(
            store,
            decision,
            context.origin(),
            method=http_request.method,
            path=http_request.path,
        )
    if isinstance(decision, Refusal) or decision.token is None:
        why = "The access token is unknown, expired or revoked."
        raise challenge(401, "invalid_token", why)
    token = decision.token
    context.usage().used(token.id, token.user_id, context.remote_address())
    return TokenCaller(decision, token)


def _find(digest: bytes | None) -> Facts:
    return Facts() if digest is None else context.lookup().find(digest=digest)
