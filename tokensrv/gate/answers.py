"""Answers: what a proxy is told at ``/gate/auth``: 200 with who enters, 401 or 403.

nginx makes an error of its own of every other status, so that whatever refuses a sudo is 403
here. Clients of some proxies see these texts: they say what to do, not what was found.
"""

from __future__ import annotations

from typing import Final

from flask import Response

from tokensrv.domain.caller import Check
from tokensrv.domain.gates import Entry, NoEntry, Obstacle
from tokensrv.gate import visits
from tokensrv.gate.forwarded import Asked

MEDIA_TYPE: Final = "text/plain; charset=utf-8"

_BEARER: Final = 'Bearer realm="tokensrv"'
_BASIC: Final = 'Basic realm="tokensrv", charset="UTF-8"'
_TEXTS: Final[dict[Check | Obstacle, str]] = {
    Obstacle.ANONYMOUS: "A token is needed",
    Obstacle.CREDENTIALS: "The credentials cannot be read, or are two that differ",
    Obstacle.REQUEST: "What is asked for cannot be told for certain",
    Obstacle.RULE: "No rule allows this",
    Obstacle.TOO_MANY: "There were too many unknown tokens",
    Check.WANTED: "The token does not hold the scopes that this requires",
}


def entered(entry: Entry) -> list[tuple[str, str]]:
    """Return the headers of 200, whose body is empty."""
    return [("Content-Type", MEDIA_TYPE), ("Content-Length", "0"), *visits.identity(entry)]


def render(asked: Asked, outcome: Entry | NoEntry) -> Response:
    """Return the answer to what was asked."""
    if isinstance(outcome, Entry):
        return Response(headers=entered(outcome))
    text, status = ("403 Forbidden", 403) if outcome.is_forbidden else ("401 Unauthorized", 401)
    response = Response(f"{text} - {_reason(outcome)}\n", status, content_type=MEDIA_TYPE)
    if (challenge := _challenge(asked, outcome)) is not None:
        response.headers["WWW-Authenticate"] = challenge
    if outcome.retry_after_seconds:
        response.headers["Retry-After"] = str(outcome.retry_after_seconds)
    return response


def _reason(refused: NoEntry) -> str:
    if refused.is_sudo:
        return "Sudo was refused"
    return _TEXTS.get(refused.check, "The token is not valid here")


def _challenge(asked: Asked, refused: NoEntry) -> str | None:
    """Return the challenge (RFC 6750 §3, RFC 7617 §2), None where other credentials do not help."""
    if not refused.is_forbidden:
        if asked.is_basic:
            return _BASIC
        is_presented = refused.check is not Obstacle.ANONYMOUS
        return f'{_BEARER}, error="invalid_token"' if is_presented else _BEARER
    wanted = ("sudo",) if refused.check is Check.SCOPE else asked.scopes
    if asked.is_basic or refused.check not in {Check.SCOPE, Check.WANTED}:
        return None
    scope = f', scope="{" ".join(wanted)}"' if wanted else ""
    return f'{_BEARER}, error="insufficient_scope"{scope}'
