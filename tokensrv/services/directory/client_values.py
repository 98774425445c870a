"""Client values: what of a client can be set, how each value is checked, what the log tells of it.

``services.directory.clients`` has the verbs. Which keys a client may have is
``services.keys.client_keys``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final

from tokensrv.db import Store
from tokensrv.domain import scopes as known_scopes
from tokensrv.domain import texts
from tokensrv.errors import Invalid
from tokensrv.models import Client
from tokensrv.services.keys import client_keys
from tokensrv.services.keys.client_keys import JwkSet
from tokensrv.services.lifecycle.token_values import KEEP, Keep
from tokensrv.services.records import ClientRecord

# What a client may do beyond introspecting; nothing of it by default.
ALLOWABLE = ("sudo", "exchange", "batch", "revoke")
# How a client may say who it is (RFC 7591 §2, OpenID Connect Core §9).
SECRET_METHODS = ("client_secret_basic", "client_secret_post")
PRIVATE_KEY_JWT = "private_key_jwt"
AUTH_METHODS = (*SECRET_METHODS, PRIVATE_KEY_JWT)
# How an answer to it may be signed (RFC 9701 §6).
SIGNED_RESPONSE_ALGS = ("RS256", "ES256", "Ed25519")

_NO_VALID_VALUE = "does not have a valid value"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientValues:
    """What to set of a client; ``KEEP`` leaves a value as it is, in a new one at its default.

    ``scopes`` None: it may see every scope. ``jwks`` is whatever ``client_keys.checked`` takes,
    None: no keys. A new client with keys authenticates with them alone, unless ``auth_methods``
    say otherwise.
    """

    name: str | Keep = KEEP
    description: str | Keep = KEEP
    auth_methods: tuple[str, ...] | Keep = KEEP
    scopes: tuple[str, ...] | Keep | None = KEEP
    allow: tuple[str, ...] | Keep = KEEP
    jwks: object = KEEP
    introspection_signed_response_alg: str | Keep = KEEP


def uses_secret(client: Client) -> bool:
    """Return whether the client may say who it is with a secret."""
    return not set(SECRET_METHODS).isdisjoint(client.auth_methods)


def set_values(store: Store, client: Client, values: ClientValues) -> None:
    """Set what is given, each value checked; raises Invalid."""
    for name in (field.name for field in fields(values)):
        value = getattr(values, name)
        if value is not KEEP:
            setattr(client, name, _CHECKED[name](store, value))
    if PRIVATE_KEY_JWT in client.auth_methods and client.jwks is None:
        raise Invalid("jwks", "is missing")


def _text(name: str, *, may_be_empty: bool) -> Callable[[Store, str], str]:
    def checked(_store: Store, value: str) -> str:
        texts.check(name, value, 255, may_be_empty=may_be_empty)
        return value

    return checked


def _words(name: str, known: tuple[str, ...]) -> Callable[[Store, tuple[str, ...]], Any]:
    def checked(_store: Store, value: tuple[str, ...]) -> tuple[str, ...]:
        if not set(value) <= set(known):
            raise Invalid(name, _NO_VALID_VALUE)
        return tuple(dict.fromkeys(value))

    return checked


def _methods(store: Store, value: tuple[str, ...]) -> Any:
    if not value:
        raise Invalid("auth_methods", "is empty")
    return _words("auth_methods", AUTH_METHODS)(store, value)


def _limit(store: Store, value: tuple[str, ...] | None) -> Any:
    known = known_scopes.available(store.settings.extra_scopes)
    return None if value is None else _words("scopes", known)(store, value)


def _keys(_store: Store, value: object) -> JwkSet | None:
    return None if value is None else client_keys.checked(value)


def _algorithm(_store: Store, value: str) -> str:
    if value not in SIGNED_RESPONSE_ALGS:
        raise Invalid("introspection_signed_response_alg", _NO_VALID_VALUE)
    return value


# How each value is checked; what comes back is what is stored.
_CHECKED: Final[dict[str, Callable[[Store, Any], Any]]] = {
    "name": _text("name", may_be_empty=False),
    "description": _text("description", may_be_empty=True),
    "auth_methods": _methods,
    "scopes": _limit,
    "allow": _words("allow", ALLOWABLE),
    "jwks": _keys,
    "introspection_signed_response_alg": _algorithm,
}


def shown(client: ClientRecord) -> dict[str, Any]:
    """Return what the event log tells of a client: of its keys, which ones."""
    return {
        "name": client.name,
        "description": client.description,
        "auth_methods": list(client.auth_methods),
        "scopes": None if client.scopes is None else list(client.scopes),
        "allow": list(client.allow),
        "jwks": client_keys.thumbprints(client.jwks),
        "introspection_signed_response_alg": client.introspection_signed_response_alg,
    }
