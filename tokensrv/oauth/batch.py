"""Batch introspection: many tokens in one question, for clients that were allowed to by name.

A question is a JSON object. What a client's form would say about itself stands in it under the
same names, so that every method of authentication works here too. One statement reads the client
and all tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from authlib.oauth2 import OAuth2Request
from authlib.oauth2.rfc6749 import TokenEndpoint
from flask import request as http_request

from tokensrv.domain.facts import ClientFacts, Facts
from tokensrv.domain.secret import token_digest
from tokensrv.http import context
from tokensrv.http.parse import json_object
from tokensrv.http.parse.form import Form, media_type
from tokensrv.lookup.batch import find_many
from tokensrv.oauth import question
from tokensrv.oauth.callers import CLIENT_METHODS, ClientCaller
from tokensrv.oauth.server import (
    EndpointRequest,
    invalid_request,
    refusal,
    refuse_parameters_in_url,
)
from tokensrv.services.introspection import introspect_many

MAX_BYTES: Final = 1024 * 1024
MAX_TOKENS: Final = 1_000
_CREDENTIALS: Final = ("client_id", "client_secret", "client_assertion", "client_assertion_type")

# Status, body and headers.
_Response = tuple[int, dict[str, Any], list[tuple[str, str]]]


class BatchRequest(EndpointRequest):
    """A request about many tokens, and their facts in the order of the question."""

    def __init__(self, members: Mapping[str, Any]) -> None:
        given = {name: question.text(members, name) for name in _CREDENTIALS if name in members}
        parameters = Form({name: (text,) for name, text in given.items() if text is not None})
        super().__init__(parameters, question.read_members(members))
        # None: it cannot be one of ours, so storage need not be asked about it.
        self._digests = [token_digest(token) for token in _tokens(members)]
        self.facts: list[Facts] = []

    def look_up(self, client_id: str) -> ClientFacts | None:
        """Return the client; keep the facts of the tokens beside him."""
        known = {digest for digest in self._digests if digest is not None}
        client, found = find_many(
            context.store(), client_id=client_id, digests=known, target=self.target
        )
        unknown = Facts(client=client)
        self.facts = [found.get(digest, unknown) if digest else unknown for digest in self._digests]
        return client


class BatchIntrospection(TokenEndpoint):
    """What a client is told about many tokens."""

    ENDPOINT_NAME = "introspection_batch"
    CLIENT_AUTH_METHODS = CLIENT_METHODS

    def create_endpoint_request(self, request: object) -> OAuth2Request:
        """Return the current request; raises ApiError (400, 413) when it is no such question."""
        return BatchRequest(_read())

    def create_endpoint_response(self, request: OAuth2Request) -> _Response:
        """Return the answers in the order of the tokens.

        Raises ApiError (401, 400 for a client that may not), StorageUnavailable.
        """
        asked = cast(BatchRequest, request)
        client = cast(ClientCaller, self.authenticate_endpoint_client(asked))  # type: ignore[no-untyped-call]  # its stub
        if "batch" not in client.facts.allow:
            raise refusal("unauthorized_client", "This client may not ask about many at once.")
        answers = introspect_many(
            context.store(),
            context.usage(),
            asked.facts,
            asked.question,
            client.origin,
            method=http_request.method,
            path=http_request.path,
            metrics=context.metrics(),
        )
        return 200, {"results": answers}, [("X-Accel-Expires", "0")]


def _read() -> dict[str, Any]:
    """Return the members of the object in the body; raises ApiError (400, 413)."""
    refuse_parameters_in_url()
    if "Sudo" in http_request.headers:
        # It would be unclear for which of the tokens, and a frame that passes it on means one.
        raise invalid_request("The header Sudo is not possible here.")
    if media_type(http_request.content_type) != "application/json":
        raise invalid_request("The body must be application/json.")
    pairs = json_object.read(context.body(MAX_BYTES))
    members = dict(pairs)
    if len(members) < len(pairs):
        raise invalid_request("A member is given twice.")
    return members


def _tokens(members: Mapping[str, Any]) -> list[str]:
    tokens = members.get("tokens")
    if not (isinstance(tokens, list) and 0 < len(tokens) <= MAX_TOKENS) or not all(
        isinstance(token, str) for token in tokens
    ):
        raise invalid_request(f"tokens must be an array of 1 to {MAX_TOKENS} strings.")
    return tokens
