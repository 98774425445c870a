"""The token endpoint: one token exchanged for another (RFC 8693), the only grant there is.

It owns the parameters of an exchange and its answers, as a grant of Authlib's server. What may
be exchanged for what is ``services.lifecycle.exchange``.

Three requests are possible. With an access token as ``subject_token`` and a user named as
``requested_subject``, or with that user as ``subject_token`` and the access token as
``actor_token``, an admin gets a token that acts as the user. With an access token alone its
owner gets a narrower one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

from authlib.oauth2.rfc6749 import BaseGrant, TokenEndpointMixin
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from flask import request as http_request

from tokensrv.clock import to_ms
from tokensrv.domain import networks
from tokensrv.domain.caller import Check, InvalidSudo, Refusal, Refused, SudoAsk
from tokensrv.domain.facts import ClientFacts, Facts, TokenFacts
from tokensrv.domain.introspection import Question
from tokensrv.domain.secret import token_digest
from tokensrv.errors import Forbidden, Invalid, NotFound, ScopesNotHeld
from tokensrv.http import context, resource
from tokensrv.http.answers import ApiError
from tokensrv.http.parse import sudo
from tokensrv.http.parse.form import Form
from tokensrv.oauth.callers import CLIENT_METHODS, ClientCaller
from tokensrv.oauth.server import EndpointRequest, invalid_request, read_form, refusal
from tokensrv.services.lifecycle.exchange import ExchangeWish, exchange
from tokensrv.services.records import NewToken

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  # a type
USER: Final = "urn:tokensrv:params:oauth:token-type:user"

_REPEATABLE: Final = frozenset({"audience", "resource"})
_SECONDS: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


class TokenRequest(EndpointRequest):
    """A request for an exchange: its form, and the facts about the source once they are read."""

    def __init__(self, parameters: Form) -> None:
        asked = _ask(parameters)
        context.log_unreadable(asked)
        super().__init__(parameters, Question(ask=asked))
        self.payload = BasicOAuth2Payload(self.form)
        self.facts = Facts()

    def look_up(self, client_id: str) -> ClientFacts | None:
        """Return the client; keep the facts of the source and of the user beside him."""
        self.facts = context.lookup().find(
            client_id=client_id, digest=token_digest(self._source), target=self.target
        )
        return self.facts.client

    @property
    def _source(self) -> str:
        form = self.parameters
        return form.get("actor_token" if _names_user(form) else "subject_token") or ""


def read_request() -> TokenRequest:
    """Return the current request; raises ApiError (400, 413) when it is none."""
    parameters = read_form(repeatable=_REPEATABLE)
    if not parameters.get("grant_type"):
        raise invalid_request("grant_type is missing")
    if any("[" in name for name in parameters.values):
        # A user who is named like this would be overlooked, and the token would be the admin's own.
        raise invalid_request("A parameter is written as a list.")
    return TokenRequest(parameters)


class TokenExchange(BaseGrant, TokenEndpointMixin):
    """A short-lived token for a client that was allowed, by name, to exchange tokens."""

    GRANT_TYPE = GRANT_TYPE
    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_METHODS

    def validate_token_request(self) -> None:
        """Authenticate the client and look at the parameters; raises ApiError (400, 401)."""
        client = cast(ClientCaller, self.authenticate_token_endpoint_client())
        self.request.client = client
        if "exchange" not in client.facts.allow:
            raise _not_allowed()
        _check(self._asked.parameters)

    def create_token_response(self) -> tuple[int, Any, Any]:
        """Return the new token (RFC 8693 §2.2.1); raises ApiError (400), StorageUnavailable."""
        asked = self._asked
        with _refusals():
            new = exchange(
                context.store(),
                context.usage(),
                asked.facts,
                _wish(asked),
                cast(ClientCaller, self.client).origin,
                method=http_request.method,
                path=http_request.path,
            )
        return 200, _answer(new), {}

    @property
    def _asked(self) -> TokenRequest:
        return cast(TokenRequest, self.request)


def _names_user(form: Form) -> bool:
    return form.get("subject_token_type") == USER


def _ask(form: Form) -> SudoAsk | InvalidSudo | None:
    """Return as whom the new token is to act; None: as nobody but its owner."""
    named = form.all("subject_token" if _names_user(form) else "requested_subject")
    return sudo.read(None, named, http_request.headers.get("Sudo-Reason"), form.all("sudo_reason"))


def _check(form: Form) -> None:
    """Raise ApiError (400) unless the parameters are one of the three requests."""
    if "Sudo" in http_request.headers or form.all("sudo"):
        raise invalid_request("Sudo is not possible here: name the user as requested_subject.")
    for name in ("subject_token", "subject_token_type"):
        if not form.get(name):
            raise invalid_request(f"{name} is missing")
    if form.get("requested_token_type") not in {None, "", ACCESS_TOKEN}:
        raise invalid_request("requested_token_type is not supported")
    if _names_user(form):
        _check_actor(form)
        return
    if form.get("subject_token_type") != ACCESS_TOKEN:
        raise invalid_request("subject_token_type is not supported")
    # RFC 8693 §2.1 forbids the type without the token, and a token that is overlooked is worse.
    for name in ("actor_token", "actor_token_type"):
        if form.all(name):
            raise invalid_request(f"{name} goes with a user as subject_token")


def _check_actor(form: Form) -> None:
    if not form.get("actor_token"):
        raise invalid_request("actor_token is missing")
    if form.get("actor_token_type") != ACCESS_TOKEN:
        raise invalid_request("actor_token_type is missing or not supported")
    if form.all("requested_subject"):
        raise invalid_request("requested_subject goes with an access token as subject_token")


def _wish(asked: TokenRequest) -> ExchangeWish:
    form = asked.parameters
    return ExchangeWish(
        ask=asked.question.ask,
        scopes=tuple((form.get("scope") or "").split()),
        audience=_audience(form, asked.facts.token),
        seconds=_seconds(form.get("expires_in")),
        remote_ip=networks.spelling(form.get("remote_ip")),
    )


def _audience(form: Form, source: TokenFacts | None) -> tuple[str, ...]:
    """Return the clients that the token is for; raises ApiError (400) for what is none.

    The one resource that has a URL is our own API, which takes no token that is for others.
    """
    clients, resources = form.all("audience"), form.all("resource")
    own = resource.identifier(context.settings())
    if any(one.rstrip("/") != own for one in resources) or (clients and resources):
        raise _invalid_target()
    if resources and source is not None and source.audience:
        raise _invalid_target()
    return clients


def _seconds(text: str | None) -> int | None:
    if not text:
        return None
    if not _SECONDS.fullmatch(text) or not int(text):
        raise invalid_request("expires_in is invalid")
    return int(text)


def _answer(new: NewToken) -> dict[str, Any]:
    record = new.record
    answer = {
        "access_token": new.secret,
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "scope": " ".join(record.scopes),
    }
    if record.expires_at is None:
        return answer
    return answer | {
        "expires_in": to_ms(record.expires_at) // 1000 - to_ms(record.created_at) // 1000
    }


@contextmanager
def _refusals() -> Iterator[None]:
    """Raise what the service refuses as ApiError (400)."""
    try:
        yield
    except Refused as problem:
        raise _refused(problem.refusal) from None
    except ScopesNotHeld:
        raise refusal("invalid_scope", "The token does not hold these scopes.") from None
    except Forbidden:
        raise invalid_request("Nothing is exchanged for this token.") from None
    except Invalid:
        raise _invalid_target() from None
    except NotFound:
        # It was disabled, or lost this power, a moment ago.
        raise _not_allowed() from None


def _refused(problem: Refusal) -> ApiError:
    """Return the answer to a dead source, or to a sudo that is refused (RFC 8693 §2.2.2).

    Why a source is dead is not told, and neither is why an admin may not act as that user: that
    stands in the event log.
    """
    if not problem.is_sudo:
        return invalid_request("The token is unknown, expired, revoked or not for this client.")
    if problem.check is Check.SUDO:
        return invalid_request("The user is not named by an id or a username.")
    if problem.token is None or "sudo" not in problem.token.scopes:
        return invalid_request("The token does not hold the scope sudo.")
    return refusal("invalid_target", "The token may not act as this user.")


def _invalid_target() -> ApiError:
    return refusal("invalid_target", "The token cannot be made for this audience or resource.")


def _not_allowed() -> ApiError:
    return refusal("unauthorized_client", "The client may not exchange tokens.")
