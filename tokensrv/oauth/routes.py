"""Routes: the OAuth endpoints, each a POST that Authlib's server answers, and the public keys."""

from __future__ import annotations

from typing import Final, cast

from flask import Blueprint, Flask, Response, current_app, jsonify, request

from tokensrv.http import context, wsgi
from tokensrv.oauth import assertions, callers
from tokensrv.oauth.batch import BatchIntrospection
from tokensrv.oauth.introspect import Introspection
from tokensrv.oauth.revoke import Revocation
from tokensrv.oauth.server import Server
from tokensrv.oauth.token import TokenExchange, read_request
from tokensrv.services.keys import signing_keys

bp = Blueprint("oauth", __name__, url_prefix="/oauth")

_EXTENSION: Final = "tokensrv_oauth"


def init_app(app: Flask) -> None:
    """Build the application's server and add the routes."""
    server = Server()
    callers.register(server)
    assertions.register(server)
    server.register_endpoint(Introspection)
    server.register_endpoint(BatchIntrospection)
    server.register_endpoint(Revocation)
    server.register_grant(TokenExchange)
    app.extensions[_EXTENSION] = server
    app.register_blueprint(bp)


@bp.post("/introspect")
def introspect() -> Response:
    """Answer RFC 7662, as far as the fast path has not."""
    problem: Exception | None = request.environ.get(wsgi.PROBLEM)
    if problem is not None:
        raise problem
    return _answer(Introspection.ENDPOINT_NAME)


@bp.post("/introspect/batch")
def introspect_batch() -> Response:
    """Answer RFC 7662 for many tokens."""
    return _answer(BatchIntrospection.ENDPOINT_NAME)


@bp.get("/jwks")
def jwks() -> Response:
    """Answer the keys that verify what was signed here (RFC 7517 §5)."""
    answer = jsonify(keys=signing_keys.published(context.store()))
    answer.mimetype = "application/jwk-set+json"
    answer.cache_control.public = True
    answer.cache_control.max_age = signing_keys.MAX_AGE_SECONDS
    return answer


@bp.post("/revoke")
def revoke() -> Response:
    """Answer RFC 7009."""
    return _answer(Revocation.ENDPOINT_NAME)


@bp.post("/token")
def token() -> Response:
    """Answer RFC 8693."""
    # Authlib's stub promises a tuple, but it is what the server makes of one.
    return cast(Response, _server().create_token_response(read_request()))


def _answer(endpoint: str) -> Response:
    answer = _server().create_endpoint_response(endpoint)  # type: ignore[no-untyped-call]  # its stub
    return cast(Response, answer)


def _server() -> Server:
    return cast(Server, current_app.extensions[_EXTENSION])
