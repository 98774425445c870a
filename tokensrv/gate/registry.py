"""Container registries: the tokens that their clients fetch, by the protocol of Docker's registry.

A registry sends whoever comes without a token here, with what he wants to do; he comes back with a
JWT that says what he may. The answers are GitLab's. What is granted is ``services.gates.registry``.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any, Final

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import NotFound

from tokensrv.config import Settings
from tokensrv.domain.gates import Gate, NoEntry, Obstacle
from tokensrv.domain.registry import asked
from tokensrv.domain.secret import masked
from tokensrv.gate import credential, denied, visits
from tokensrv.gate.credential import Credential
from tokensrv.gate.original import Original
from tokensrv.http import context
from tokensrv.http.parse import sudo
from tokensrv.services.gates import registry, turned_away
from tokensrv.services.gates.registry import Grant
from tokensrv.services.gates.visit import Visit
from tokensrv.services.keys import registry_keys
from tokensrv.services.keys.key_pairs import Signer

PATH: Final = "/jwt/auth"
ISSUER: Final = "tokensrv"
# The name that GitLab's registry has, and the only one that is known.
SERVICE: Final = "container_registry"
_AUTH_TYPE: Final = "personal_access_token"
# What a registry's clock may be behind ours.
_SKEW_SECONDS: Final = 5


def init_app(app: Flask) -> None:
    """Add the route; there is nothing to POST to, and GitLab says so with 404."""
    app.add_url_rule(PATH, "gate.registry", _answer, methods=("GET", "POST"))


def _answer() -> Response:
    """Answer with a token for a registry, or why there is none."""
    if request.method == "POST":
        raise NotFound
    if _given("service") != [SERVICE]:
        return Response(status=404)
    found = _entered()
    if isinstance(found, NoEntry):
        return _refused(found, context.settings())
    g.caller = found.caller
    signer = registry_keys.signer(context.store(), context.origin())
    return jsonify(token=_token(found, signer, context.settings(), context.store().clock.now_ms()))


def _given(name: str) -> list[str]:
    return visits.given(request.environ, name)


def _entered() -> Grant | NoEntry:
    store, usage, metrics = context.store(), context.usage(), context.metrics()
    visit = _visit()
    presented = credential.read(
        request.headers.get("Authorization"), request.headers.get("PRIVATE-TOKEN")
    )
    if isinstance(presented, Credential):
        wanted = asked(_given("scope"))
        return registry.enter(
            store, usage, context.lookup(), visit, presented.secret, wanted, metrics=metrics
        )
    obstacle = Obstacle.ANONYMOUS if presented is None else Obstacle.CREDENTIALS
    return turned_away.record(store, usage, visit, NoEntry(obstacle), metrics=metrics)


def _visit() -> Visit:
    visit = visits.of(
        request.environ,
        context.settings(),
        Gate.REGISTRY,
        # What is wanted of a registry, which is all that tells one request from another.
        Original(request.method, masked(" ".join((request.path, *_given("scope"))))),
        request_id=context.request_id(),
    )
    # Unlike those of other gates this URL is our own, and a sudo in it is not overlooked.
    header, reason = request.headers.get("Sudo"), request.headers.get("Sudo-Reason")
    ask = sudo.read(header, _given("sudo"), reason, _given("sudo_reason"))
    return replace(visit, ask=ask)


def _token(grant: Grant, signer: Signer, settings: Settings, now_ms: int) -> str:
    """Return the JWT that a registry reads, with another one in it that says who asks."""
    now = now_ms // 1000
    moments = {
        "iat": now,
        "nbf": now - _SKEW_SECONDS,
        "exp": _end(grant, now, settings),
    }
    # Without issuer and audience, so that no registry takes it for the other one.
    who = {"jti": _unique(), **moments, "user_info": _user_info(grant)}
    claims = {
        "iss": ISSUER,
        "aud": SERVICE,
        "sub": grant.caller.subject.username,
        "jti": _unique(),
        **moments,
        "auth_type": _AUTH_TYPE,
        "access": [
            {"type": resource.kind, "name": resource.name, "actions": list(resource.actions)}
            for resource in grant.access
        ],
        "user": signer.sign("JWT", who),
    }
    return signer.sign("JWT", claims)


def _end(grant: Grant, now: int, settings: Settings) -> int:
    """Return when the JWT dies, never later than the token that it came from."""
    end, token = now + settings.registry_token_seconds, grant.caller.token
    if token is None or token.expires_ms is None:
        return end
    return min(end, token.expires_ms // 1000)


def _user_info(grant: Grant) -> dict[str, Any]:
    subject, actor = grant.caller.subject, grant.caller.actor
    found: dict[str, Any] = {
        "token_type": _AUTH_TYPE,
        "username": subject.username,
        "user_id": subject.id,
    }
    if grant.caller.is_sudo:
        found["actor"] = {"username": actor.username, "user_id": actor.id}
    return found


def _unique() -> str:
    return secrets.token_urlsafe(16)


def _refused(refused: NoEntry, settings: Settings) -> Response:
    """Return 403 for whom no other token would help, or who has none; otherwise 401."""
    if not refused.is_forbidden and refused.check is not Obstacle.ANONYMOUS:
        answer = jsonify(errors=[{"code": "UNAUTHORIZED", "message": denied.text(settings)}])
        answer.status_code = 401
        return answer
    error = {"code": "DENIED", "message": "access forbidden"}
    answer = jsonify(errors=[error], http_status=403)
    answer.status_code = 403
    if refused.retry_after_seconds:
        answer.headers["Retry-After"] = str(refused.retry_after_seconds)
    return answer
