"""The server: Authlib's authorization server on Flask, stricter than Authlib about requests.

It owns how a request is read and how an answer is sent; what is served are the endpoints of
``introspect`` and ``revoke``. Only the body is read, once, as one form without repetitions: what
stands in a URL ends in logs, and of two values nobody may guess which one counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any, Final

from authlib.oauth2 import AuthorizationServer, OAuth2Request
from authlib.oauth2.rfc6749 import (
    BaseGrant,
    ClientMixin,
    InvalidClientError,
    UnsupportedGrantTypeError,
)
from flask import Response, make_response, request

from tokensrv.domain.facts import ClientFacts, Facts
from tokensrv.domain.introspection import Question
from tokensrv.domain.secret import token_digest
from tokensrv.domain.usernames import Target
from tokensrv.http import context
from tokensrv.http.answers import ApiError, error
from tokensrv.http.parse import clients
from tokensrv.http.parse import form as parse_form
from tokensrv.http.parse.clients import ClientAssertion, ClientCredentials, ClientProblem
from tokensrv.http.parse.form import Form, FormProblem
from tokensrv.oauth import question

# TLS ends in front of this service, so the scheme of the URL that arrives says nothing. Authlib
# would raise for plain http where nothing catches it, so it is shown a URL that it accepts.
_URL: Final = "https://localhost"

_PARAMETERS: Final = frozenset(
    {
        "token",
        "tokens",
        "token_type_hint",
        "client_id",
        "client_secret",
        "client_assertion",
        "client_assertion_type",
        "scope",
        "sudo",
        "sudo_reason",
        "remote_ip",
        "grant_type",
        "subject_token",
        "subject_token_type",
        "actor_token",
        "actor_token_type",
        "requested_token_type",
        "requested_subject",
        "audience",
        "resource",
        "expires_in",
    }
)
_PROBLEMS: Final = {
    FormProblem.CONTENT_TYPE: (400, f"The body must be {parse_form.MEDIA_TYPE}."),
    FormProblem.TOO_LARGE: (413, "The body is too large."),
}


class EndpointRequest(OAuth2Request):
    """A request to an endpoint: its parameters, what is asked, and who may be asking."""

    def __init__(self, parameters: Form, question: Question) -> None:
        super().__init__(request.method, _URL)
        self.parameters = parameters
        self.question = question

    def look_up(self, client_id: str) -> ClientFacts | None:
        """Return the client of this id, None when there is none.

        The client's authentication calls it once, and the one statement that it makes also reads
        whatever the endpoint needs to answer. Raises StorageUnavailable.
        """
        raise NotImplementedError

    @property
    def form(self) -> dict[str, str]:
        """Return the parameters as Authlib reads them: each has one value."""
        return {name: one for name, (one, *_) in self.parameters.values.items()}

    @cached_property
    def presented(self) -> ClientCredentials | ClientAssertion | ClientProblem:
        """Return how a client says who it is; raises ApiError (400) for two ways at once."""
        found = clients.read(
            request.headers.get("Authorization"),
            self.parameters,
            tolerates_both=context.settings().dual_client_auth,
        )
        if found is ClientProblem.TWO_METHODS:
            raise invalid_request("There are two methods of client authentication.")
        return found

    @property
    def target(self) -> Target | None:
        """Return as whom the question asks to act, None for a sudo that is not there or no name."""
        return self.question.target


class FormRequest(EndpointRequest):
    """A request about one token: its form, and the facts once they are read."""

    def __init__(self, parameters: Form) -> None:
        asked = question.read(
            parameters,
            sudo_header=request.headers.get("Sudo"),
            reason_header=request.headers.get("Sudo-Reason"),
        )
        context.log_unreadable(asked.ask)
        super().__init__(parameters, asked)
        self.facts = Facts()

    def look_up(self, client_id: str) -> ClientFacts | None:
        """Return the client; keep the facts of the token beside him."""
        self.facts = context.lookup().find(
            client_id=client_id, digest=self.digest, target=self.target
        )
        return self.facts.client

    def look_up_token(self) -> None:
        """Keep the facts of the token for a caller who is no client."""
        if self.digest is not None:
            self.facts = context.lookup().find(digest=self.digest, target=self.target)

    @property
    def digest(self) -> bytes | None:
        """Return what the token in question is looked up by.

        None: it is missing, or cannot be one of ours, so storage need not be asked about it.
        """
        return token_digest(self.parameters.get("token") or "")

    def require_token(self) -> None:
        """Raise ApiError (400) unless there is a token to talk about."""
        if not self.parameters.get("token"):
            raise invalid_request("token is missing")


class Server(AuthorizationServer):
    """Authlib's server; a refusal that is not Authlib's own is an ApiError."""

    def create_oauth2_request(self, request: object) -> EndpointRequest:
        """Return the current request; raises ApiError (400, 413) when it is not one form.

        An endpoint that reads its own kind of request hands it over.
        """
        return request if isinstance(request, EndpointRequest) else FormRequest(read_form())

    def get_token_grant(self, request: OAuth2Request) -> BaseGrant:
        """Return the grant that is asked for; raises ApiError (400) when there is no such grant."""
        try:
            return super().get_token_grant(request)
        except UnsupportedGrantTypeError:
            # Authlib would repeat what was sent, whatever it was.
            raise refusal("unsupported_grant_type", "There is no such grant.") from None

    def authenticate_client(
        self, request: OAuth2Request, methods: Collection[str], endpoint: str = "token"
    ) -> ClientMixin:
        """Return who calls; raises ApiError (401), the same for every reason."""
        try:
            return super().authenticate_client(request, methods, endpoint)
        except InvalidClientError:
            raise invalid_client() from None

    def handle_response(
        self, status: int, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> Response:
        """Return what an endpoint answers as Flask's response."""
        return make_response(body, status, headers)

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Tell nobody: the event log does."""


def refusal(code: str, description: str) -> ApiError:
    """Return 400 with one of the codes of RFC 6749 §5.2 or of what extends it."""
    return ApiError(400, {"error": code, "error_description": description})


def invalid_request(description: str) -> ApiError:
    """Return 400 for a request that cannot be understood (RFC 6749 §5.2)."""
    return error(400, description)


def invalid_client() -> ApiError:
    """Return 401 for a client that is unknown, disabled, or not who it says (RFC 6749 §5.2)."""
    body = {"error": "invalid_client", "error_description": "Client authentication failed."}
    # RFC 7617 §2 requires the realm.
    return ApiError(401, body, {"WWW-Authenticate": 'Basic realm="tokensrv"'})


def refuse_parameters_in_url() -> None:
    """Raise ApiError (400) when the URL holds what belongs in the body."""
    in_url = {name.decode("utf-8", "replace") for name, _ in parse_form.pairs(request.query_string)}
    if in_url & _PARAMETERS:
        raise invalid_request("Parameters belong in the body.")


def read_form(*, repeatable: Collection[str] = ()) -> Form:
    """Return the form of the current request; raises ApiError (400, 413) when it is not one.

    Nothing may be given twice but what is ``repeatable``.
    """
    refuse_parameters_in_url()
    found = parse_form.read(request.content_type, context.body(parse_form.MAX_BYTES))
    if isinstance(found, FormProblem):
        raise error(*_PROBLEMS[found])
    if set(found.repeated) - set(repeatable):
        raise invalid_request("A parameter is given twice.")
    return found
