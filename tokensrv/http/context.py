"""Context: what the current request has at hand, each with its type.

The parts were put into the application by ``create_app``; what is read from the request is read
once and kept in ``flask.g``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

from flask import Flask, current_app, g, request
from werkzeug.exceptions import LengthRequired, RequestEntityTooLarge

from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain.caller import Caller, InvalidSudo
from tokensrv.http import wsgi
from tokensrv.http.answers import unauthorized
from tokensrv.http.parse import origin as parse_origin
from tokensrv.http.parse import parameters as parse_parameters
from tokensrv.http.parse.parameters import Parameters
from tokensrv.lookup import Lookup
from tokensrv.services.metering.metrics import Metrics
from tokensrv.services.trail.events import Origin
from tokensrv.services.trail.usage import Usage

_log = logging.getLogger("tokensrv.http")


def init_app(app: Flask) -> None:
    """Make room for bodies that are waited for."""
    wsgi.init_app(app, cast(Store, app.extensions["tokensrv"]).settings.threads)


def store() -> Store:
    """Return the application's Store."""
    return cast(Store, current_app.extensions["tokensrv"])


def settings() -> Settings:
    """Return the application's settings."""
    return store().settings


def lookup() -> Lookup:
    """Return the application's hot read."""
    return cast(Lookup, current_app.extensions["tokensrv_lookup"])


def usage() -> Usage:
    """Return the memory of what was used."""
    return cast(Usage, current_app.extensions["tokensrv_usage"])


def metrics() -> Metrics:
    """Return the counts of this process."""
    return cast(Metrics, current_app.extensions["tokensrv_metrics"])


def openapi() -> Mapping[str, Any]:
    """Return the description of the API, as ``/openapi.json`` shows it."""
    describe = cast(Callable[[], Mapping[str, Any]], current_app.extensions["tokensrv_openapi"])
    return describe()


def caller() -> Caller:
    """Return who calls; raises ApiError (401) on a route that let nobody in."""
    if "caller" not in g:
        raise unauthorized()
    return cast(Caller, g.caller)


def origin() -> Origin:
    """Return where a change comes from: the caller, if there is one, address and request id."""
    return Origin(
        caller=g.get("caller"),
        needs=g.get("needs"),
        ip=remote_address(),
        request_id=request_id(),
    )


def began_at() -> datetime:
    """Return when this request began."""
    return cast(datetime, g.began_at)


def request_id() -> str:
    """Return the id of this request, the same one however often it is asked."""
    if "request_id" not in g:
        g.request_id = parse_origin.request_id(request.headers.get("X-Request-Id"))
    return cast(str, g.request_id)


def remote_address() -> str | None:
    """Return the client's address, None when it is not known."""
    forwarded_for = request.headers.get("X-Forwarded-For")
    return parse_origin.client_address(
        request.remote_addr, forwarded_for, settings().trusted_proxies
    )


def body(limit: int) -> bytes:
    """Return the body, whatever the method; raises 413 for more than ``limit`` bytes.

    Raises 411 for a body whose end cannot be known, 503 when there is no place to wait for it.
    """
    if "Transfer-Encoding" in request.headers and not request.environ.get("wsgi.input_terminated"):
        # This server does not tell where such a body ends, and it would look empty.
        raise LengthRequired
    # One byte more, because a body without a length is cut at the limit, not refused.
    request.max_content_length = limit + 1
    with wsgi.places(current_app):
        found = request.get_data()
    if len(found) > limit:
        raise RequestEntityTooLarge
    return found


def log_unreadable(ask: object) -> None:
    """Leave a line about a sudo that cannot be read: nothing else will tell of it."""
    if isinstance(ask, InvalidSudo):
        _log.info("sudo.invalid", extra={"method": request.method, "path": request.path})


def parameters() -> Parameters:
    """Return the parameters of the request to the GitLab dialect; raises ApiError."""
    if "parameters" not in g:
        g.parameters = parse_parameters.read(
            request.query_string, request.content_type, body(parse_parameters.MAX_BYTES)
        )
    return cast(Parameters, g.parameters)
