"""Clients: the parameters of their routes, and the object of one."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, post_load

from tokensrv.api.schemas.base import Wire
from tokensrv.api.schemas.fields import Moment, Text, Words
from tokensrv.api.schemas.paging import Paged, taken_page
from tokensrv.services.directory.client_values import (
    ALLOWABLE,
    AUTH_METHODS,
    SIGNED_RESPONSE_ALGS,
    ClientValues,
)
from tokensrv.services.keys.client_keys import MAX_KEYS
from tokensrv.services.pages import PageRequest


def _array(known: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return how a list of words is described, with the words that are known beforehand."""
    return {"items": {"type": "string"} | ({"enum": list(known)} if known else {})}


class ListClients(Paged):
    """The parameters of ``GET /tokensrv/clients``."""

    @post_load
    def _value(self, data: dict[str, Any], **_: Any) -> PageRequest:
        return taken_page(data)


class ChangeClient(Wire):
    """The parameters of a change; what is not given stays as it is."""

    name = Text()
    description = Text()
    auth_methods = Words(metadata=_array(AUTH_METHODS))
    # Null: it may see every scope.
    scopes = Words(allow_none=True, metadata=_array())
    allow = Words(metadata=_array(ALLOWABLE))
    # Null: no keys. A text is JSON or PEM.
    jwks = fields.Raw(
        allow_none=True,
        metadata={
            "type": ["object", "string"],
            "description": f"A JWK set of 1 to {MAX_KEYS} public keys, or one public key.",
        },
    )
    introspection_signed_response_alg = Text(metadata={"enum": list(SIGNED_RESPONSE_ALGS)})

    @post_load
    def _value(self, data: dict[str, Any], **_: Any) -> ClientValues:
        return ClientValues(**data)


class CreateClient(ChangeClient):
    """The parameters of a new client."""

    name = Text(required=True)


class ClientObject(Wire):
    """A client; ``scopes`` null: it may see every scope, ``jwks`` null: it has no keys."""

    client_id = fields.String()
    name = fields.String()
    description = fields.String()
    disabled = fields.Boolean(attribute="is_disabled")
    auth_methods = fields.List(fields.String())
    scopes = fields.List(fields.String(), allow_none=True)
    allow = fields.List(fields.String())
    created_at = Moment()
    jwks = fields.Dict(allow_none=True)
    introspection_signed_response_alg = fields.String()


class NewClientObject(ClientObject):
    """A client with its new secret, the only object that has it; null: it uses none."""

    client_secret = fields.String(attribute="secret", allow_none=True)

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Return the secret of the carrier, everything else of its record."""
        return super().get_attribute(obj if attr == "secret" else obj.record, attr, default)
