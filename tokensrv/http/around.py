"""Around every request: its id, the headers of every answer, and its line in the log."""

from __future__ import annotations

import logging
from typing import Final

from flask import Flask, Response, g, request

from tokensrv.clock import utcnow
from tokensrv.domain.caller import Caller
from tokensrv.http import context, logs

_log = logging.getLogger("tokensrv.http")

# The hottest path, and the ones that are asked all day long by machines.
_QUIET: Final = frozenset(
    {
        "/gate/auth",
        "/gate/git",
        "/oauth/introspect",
        "/oauth/introspect/batch",
        "/healthz",
        "/readyz",
        "/metrics",
    }
)
# Some proxies ask below it, for every request.
_ASKED_BELOW: Final = "/gate/auth/"
# The rest of such a path is a secret: calendars know no other place for it.
_FEEDS: Final = "/-/calendar/"
# Public keys: the only answers there that may be kept, for as long as the route says.
_KEPT: Final = "/oauth/jwks"


def init_app(app: Flask) -> None:
    """Wrap every request of the application; comes before whatever else runs before them."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_forget)


def headers_for(path: str) -> dict[str, str]:
    """Return the headers that every answer on this path carries."""
    headers = {"X-Frame-Options": "SAMEORIGIN", "X-Content-Type-Options": "nosniff"}
    if path == _KEPT:
        return headers
    if path.startswith(("/api/", "/oauth/", "/gate/", "/jwt/")):
        headers["Cache-Control"] = "no-store"
    if path.startswith("/oauth/"):
        # For caches older than Cache-Control (RFC 6749 §5.1).
        headers["Pragma"] = "no-cache"
    return headers


def _begin() -> None:
    clock = context.store().clock
    g.began_at, g.began_seconds = utcnow(clock), clock.monotonic()
    logs.current_request.set(context.request_id())


def _end(response: Response) -> Response:
    response.headers.update(headers_for(request.path))
    response.headers["X-Request-Id"] = context.request_id()
    if response.status_code == 204:
        # There is nothing to have a type.
        response.headers.pop("Content-Type", None)
    is_quiet = request.path in _QUIET or request.path.startswith(_ASKED_BELOW)
    if not is_quiet or response.status_code >= 400:
        _log.info("request", extra=_line(response))
    return response


def _line(response: Response) -> dict[str, object]:
    caller: Caller | None = g.get("caller")
    seconds = context.store().clock.monotonic() - g.began_seconds
    # Not the query: it may hold a token.
    line: dict[str, object] = {
        # As it was sent: the log masks a secret in it, which one in capitals would not look like.
        "method": request.environ["REQUEST_METHOD"],
        "path": _shown(request.path),
        "status": response.status_code,
        "duration_ms": round(seconds * 1000, 1),
        "ip": context.remote_address(),
    }
    if caller is not None:
        line |= {
            "token_id": caller.token.id if caller.token else None,
            "actor_id": caller.actor.id,
            "subject_id": caller.subject.id,
        }
    return line


def _shown(path: str) -> str:
    return f"{_FEEDS}***" if path.startswith(_FEEDS) else path


def _forget(_error: BaseException | None) -> None:
    logs.current_request.set(None)
