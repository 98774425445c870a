"""The form of a client: what can be set of it, in people's words."""

from __future__ import annotations

import json
from typing import Any, Final

from flask import Response
from werkzeug.datastructures import MultiDict

from tokensrv.domain import scopes
from tokensrv.errors import Invalid
from tokensrv.http.context import settings
from tokensrv.services.directory.client_values import (
    PRIVATE_KEY_JWT,
    SECRET_METHODS,
    SIGNED_RESPONSE_ALGS,
    ClientValues,
)
from tokensrv.services.keys import client_keys
from tokensrv.services.records import ClientRecord
from tokensrv.web.forms import Form
from tokensrv.web.rendering import page

# Values, words and explanations of what a client may do beyond introspecting.
ALLOW: Final = (
    ("sudo", "sudo", "Asking about a token while it acts as another user."),
    ("exchange", "exchange", "Getting short-lived tokens in exchange for those that it is shown."),
    ("batch", "batch", "Asking about up to 1,000 tokens at once."),
    ("revoke", "revoke", "Revoking the tokens that it is shown."),
)
AUTH_METHODS: Final = (
    ("client_secret_basic", "client_secret_basic", "Its secret in the header Authorization."),
    ("client_secret_post", "client_secret_post", "Its secret in the body of the request."),
    (
        PRIVATE_KEY_JWT,
        PRIVATE_KEY_JWT,
        "A signature of its own; only its public keys are stored here.",
    ),
)
_LIMITED: Final = "limited"
_OF_A_NEW_ONE: Final = [("auth_methods", method) for method in SECRET_METHODS]


def form_of_new(address: MultiDict[str, str]) -> Form:
    """Return the form of a new client, which has a secret unless the address says otherwise."""
    given = list(address.items(multi=True))
    return Form(MultiDict(given if "auth_methods" in address else given + _OF_A_NEW_ONE))


def form_of(client: ClientRecord, address: MultiDict[str, str]) -> Form:
    """Return the form of a client as it is, or as the address says that it shall be.

    Keys stand in no address, so that they are those that it has.
    """
    return Form(address or MultiDict(_pairs(client)), defaults={"jwks": _keys(client)})


def values(form: Form) -> ClientValues:
    """Return what the form sets: everything."""
    return ClientValues(
        name=form.text("name"),
        description=form.text("description"),
        allow=form.all("allow"),
        scopes=form.all("scopes") if form.text("sees") == _LIMITED else None,
        auth_methods=form.all("auth_methods"),
        jwks=form.text("jwks") or None,
        introspection_signed_response_alg=form.text("introspection_signed_response_alg")
        or SIGNED_RESPONSE_ALGS[0],
    )


def draw(template: str, form: Form, status: int = 200, **more: Any) -> Response:
    """Return the page with the form."""
    names = scopes.available(settings().extra_scopes)
    return page(
        template,
        status,
        form=form,
        allowable=ALLOW,
        auth_methods=AUTH_METHODS,
        scope_options=[(name, name, scopes.BUILT_IN.get(name, "")) for name in names],
        algorithms=[(name, name) for name in SIGNED_RESPONSE_ALGS],
        jwks=_public(form),
        **more,
    )


def _public(form: Form) -> str:
    """Return the keys as they were given, "" for what may be a private one: it must not come back.

    They are judged here once more, since what was refused may be something else, before them.
    """
    given = form.text("jwks")
    if given and not form.errors.get("jwks"):
        try:
            client_keys.checked(given)
        except Invalid as refused:
            form.refuse_by(refused)
    return "" if form.errors.get("jwks") else given


def _pairs(client: ClientRecord) -> list[tuple[str, str]]:
    return [
        ("name", client.name),
        ("description", client.description),
        ("sees", "" if client.scopes is None else _LIMITED),
        ("jwks", _keys(client)),
        ("introspection_signed_response_alg", client.introspection_signed_response_alg),
        *(("allow", name) for name in client.allow),
        *(("scopes", name) for name in client.scopes or ()),
        *(("auth_methods", name) for name in client.auth_methods),
    ]


def _keys(client: ClientRecord) -> str:
    return "" if client.jwks is None else json.dumps(client.jwks, indent=2)
