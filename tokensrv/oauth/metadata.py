"""Metadata: where the endpoints are (RFC 8414), what our own API asks for (RFC 9728), and what a
secret looks like.

All of it is public and the same for everybody. What is named here exists: no endpoint, no grant and
no method before it works.
"""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint, Flask
from werkzeug.exceptions import NotFound

from tokensrv.config import Settings
from tokensrv.domain import scopes, secret
from tokensrv.http import context, resource
from tokensrv.oauth.token import GRANT_TYPE
from tokensrv.services.directory.client_values import AUTH_METHODS
from tokensrv.services.keys.client_keys import ALGORITHMS as CLIENT_ALGORITHMS
from tokensrv.services.keys.key_pairs import ALGORITHMS

bp = Blueprint("metadata", __name__, url_prefix="/.well-known")

_KINDS: Final = {
    secret.Kind.PERSONAL: "personal access token",
    secret.Kind.IMPERSONATION: "impersonation token",
    secret.Kind.EXCHANGED: "exchanged token",
    secret.Kind.CLIENT: "client secret",
}


def init_app(app: Flask) -> None:
    """Add the routes."""
    app.register_blueprint(bp)


@bp.get("/oauth-authorization-server")
@bp.get("/oauth-authorization-server/<path:issuer_path>")
def authorization_server(issuer_path: str = "") -> dict[str, Any]:
    """Answer RFC 8414 §3, also where the issuer's own path comes after the well-known one."""
    settings = context.settings()
    if issuer_path not in {"", _path(settings.external_url)}:
        raise NotFound
    return describe(settings)


@bp.get("/oauth-protected-resource")
@bp.get("/oauth-protected-resource/<path:resource_path>")
def protected_resource(resource_path: str = "") -> dict[str, Any]:
    """Answer RFC 9728 §3, also where the path of the API's own URL comes last."""
    settings = context.settings()
    if resource_path not in {"", _path(resource.identifier(settings))}:
        raise NotFound
    return describe_resource(settings)


@bp.get("/tokensrv-secrets")
def secrets() -> dict[str, Any]:
    """Answer what secret scanners need to know."""
    return {
        "regex": secret.SHAPE.pattern,
        "prefix": context.settings().prefix,
        "kinds": {kind.value: words for kind, words in _KINDS.items()},
        "checksum": {
            "algorithm": "CRC-32 of all characters before it",
            "encoding": "base62, padded in front with the first letter of the alphabet",
            "alphabet": secret.ALPHABET,
            "length": secret.CHECKSUM_LENGTH,
        },
    }


def describe(settings: Settings) -> dict[str, Any]:
    """Return the metadata of this server (RFC 8414 §2)."""
    issuer = settings.external_url
    methods, algorithms = list(AUTH_METHODS), list(CLIENT_ALGORITHMS)
    return {
        "issuer": issuer,
        "scopes_supported": list(scopes.available(settings.extra_scopes)),
        # There is no authorization endpoint, and one grant. Both are said aloud, because to leave
        # out the grants would mean those of a browser.
        "response_types_supported": ["none"],
        "grant_types_supported": [GRANT_TYPE],
        "token_endpoint": f"{issuer}/oauth/token",
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "protected_resources": [resource.identifier(settings)],
        "jwks_uri": f"{issuer}/oauth/jwks",
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        # A token that asks in place of a client is no method of clients (RFC 8414 §2).
        "introspection_endpoint_auth_methods_supported": [*methods, "Bearer"],
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_signing_alg_values_supported": list(ALGORITHMS),
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
    }


def describe_resource(settings: Settings) -> dict[str, Any]:
    """Return the metadata of our own API (RFC 9728 §2)."""
    methods = ["header", "body", *(["query"] if settings.query_tokens else [])]
    return {
        "resource": resource.identifier(settings),
        "resource_name": "tokensrv",
        "authorization_servers": [settings.external_url],
        "scopes_supported": list(scopes.BUILT_IN),
        "bearer_methods_supported": methods,
    }


def _path(url: str) -> str:
    """Return the path of a URL without its first slash."""
    return url.partition("://")[2].partition("/")[2]
