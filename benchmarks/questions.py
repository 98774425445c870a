"""Questions: the requests of each case, built from what the seed says of the tokens."""

from __future__ import annotations

from urllib.parse import urlencode

from benchmarks.cases import Case, Tokens
from benchmarks.instances import SEED, Instance, Server
from benchmarks.peers import Endpoint
from benchmarks.peers.oauth import Client
from benchmarks.seed import Seed

# More than are answered in one burst, so that none is asked twice.
_MANY = 200_000
_FIRST = 10_000
_STRANGER = Seed("stranger")
_ACTIVE, _INACTIVE, _ACTS = '"active":true', '"active":false', '"act":{'
_TARGET = SEED.username(1)


def introspection(case: Case, instance: Instance, server: Server) -> Endpoint:
    """Return the introspections of this case."""
    credentials = {"client_id": instance.client_id, "client_secret": instance.client_secret}
    headers = Client(**credentials).headers()
    if case.is_basic:
        credentials = {}
    else:
        del headers["Authorization"]
    secrets, expected = _secrets(case.tokens, instance)
    more = credentials | ({"sudo": _TARGET} if case.tokens is Tokens.SUDO else {})
    bodies = [urlencode({"token": secret, **more}) for secret in secrets]
    url = f"{server.url}/oauth/introspect"
    return Endpoint(url, server.service.pids, headers, bodies, expected, warm_seconds=1)


def forward_auth(instance: Instance, server: Server) -> Endpoint:
    """Return the question of a proxy whether a request may go on; the answer has no text."""
    [secret] = SEED.active_secrets(1, among=instance.tokens)
    headers = {
        "Authorization": f"Bearer {secret}",
        "X-Original-Method": "GET",
        "X-Original-URI": "/reports/2026?page=7",
    }
    url = f"{server.url}/gate/auth"
    return Endpoint(url, server.service.pids, headers, [""], "", warm_seconds=1)


def _secrets(tokens: Tokens, instance: Instance) -> tuple[list[str], str]:
    match tokens:
        case Tokens.ONE:
            return SEED.active_secrets(1, among=instance.tokens), _ACTIVE
        case Tokens.HUNDRED:
            return SEED.active_secrets(100, among=instance.tokens), _ACTIVE
        case Tokens.FIRST:
            return SEED.active_secrets(_FIRST, among=_FIRST), _ACTIVE
        case Tokens.RANDOM:
            return SEED.active_secrets(_MANY, among=instance.tokens, choice=1), _ACTIVE
        case Tokens.SUDO:
            return [instance.admin_token], _ACTS
        case Tokens.SHAPELESS:
            return [f"{index:x}.garbage" for index in range(_FIRST)], _INACTIVE
        case Tokens.UNKNOWN:
            return [_STRANGER.secret(index) for index in range(_MANY)], _INACTIVE
