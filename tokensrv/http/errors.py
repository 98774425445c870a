"""Errors: the one place that sends them, in the shape of the edge that was called.

Under ``/api`` an answer looks like GitLab's, under ``/oauth`` and ``/.well-known`` like RFC 6749
§5.2; people get a page, which whoever makes pages draws. What nobody expected is logged and
answered with 500 and nothing more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, cast

from flask import Flask, Response, current_app, make_response, request
from werkzeug.exceptions import HTTPException

from tokensrv.errors import KeyUnavailable, StorageUnavailable, TokensrvError
from tokensrv.http import context, resource
from tokensrv.http.answers import JSON, ApiError, error, message, of_error

_log = logging.getLogger("tokensrv.http")

_OAUTH_CODES: Final = {
    401: "invalid_client",
    403: "access_denied",
    500: "server_error",
    503: "temporarily_unavailable",
}
# Grape's words for the router's own refusals.
_ROUTER: Final = {404: "404 Not Found", 405: "405 Not Allowed"}
_PAGES: Final = "tokensrv_error_pages"

# Returns the page of an error, None when this request is not a person's.
Draw = Callable[[ApiError], Response | None]


def init_app(app: Flask) -> None:
    """Render every error of the application here."""
    app.register_error_handler(ApiError, _send)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(TokensrvError, _of_error)
    app.register_error_handler(Exception, _unexpected)


def draw_pages(app: Flask, draw: Draw) -> None:
    """Have the errors of pages drawn by ``draw``."""
    app.extensions[_PAGES] = draw


def _of_http(problem: HTTPException) -> Response:
    status = problem.code or 500
    if status in _ROUTER and request.path.startswith("/api/v3/"):
        return _send(error(410, "API V3 is no longer supported. Use API V4 instead."))
    answer = error(status, _ROUTER[status]) if status in _ROUTER else message(status)
    # Allow, WWW-Authenticate and Retry-After are half of what such an error says.
    headers = {key: value for key, value in problem.get_headers() if key != "Content-Type"}
    return _send(ApiError(status, answer.body, headers))


def _of_error(problem: TokensrvError) -> Response:
    if isinstance(problem, StorageUnavailable):
        context.metrics().storage_was_unavailable()
        _log.warning("storage.unavailable", extra={"cause": type(problem.__cause__).__name__})
    if isinstance(problem, KeyUnavailable):
        _log.error("key.unavailable", extra={"why": str(problem)})
    answer = of_error(problem, sign_in_url=context.settings().external_url)
    return _unexpected(problem) if answer is None else _send(answer)


def _unexpected(problem: Exception) -> Response:
    _log.error("request.failed", exc_info=problem)
    return _send(message(500))


def _send(answer: ApiError) -> Response:
    draw = cast(Draw | None, current_app.extensions.get(_PAGES))
    page = None if draw is None else draw(answer)
    return _for_machines(answer) if page is None else page


def _for_machines(answer: ApiError) -> Response:
    is_oauth = request.path.startswith(("/oauth/", "/.well-known/"))
    body = _oauth(answer) if is_oauth else answer.body
    response = make_response(body, answer.status, answer.headers)
    if request.path.startswith("/api/") and "WWW-Authenticate" in answer.headers:
        # RFC 9728 §5.1: whoever is turned away learns where to get a token.
        metadata = resource.metadata_url(context.settings())
        response.headers["WWW-Authenticate"] += f', resource_metadata="{metadata}"'
    return response


def _oauth(answer: ApiError) -> JSON:
    if "error_description" in answer.body:
        return answer.body
    code = _OAUTH_CODES.get(answer.status, "invalid_request")
    if answer.status >= 500:
        return {"error": code}
    return {
        "error": code,
        "error_description": str(answer.body.get("error") or answer.body["message"]),
    }
