"""``tokensrv client``: the internal services that may ask about tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TextIO

import click

from tokensrv.cli.asking import confirm, yes_option
from tokensrv.cli.objects import client_object, moment, new_client_object
from tokensrv.cli.output import json_option, show_list, show_one, show_secret, tell
from tokensrv.cli.storage import current_store
from tokensrv.services.directory import clients
from tokensrv.services.directory.client_values import (
    ALLOWABLE,
    AUTH_METHODS,
    SIGNED_RESPONSE_ALGS,
    ClientValues,
)
from tokensrv.services.keys.client_keys import thumbprints
from tokensrv.services.lifecycle.token_values import KEEP
from tokensrv.services.records import ClientRecord, NewClient
from tokensrv.services.trail.events import COMMAND_LINE

_COLUMNS = ("client_id", "name", "state", "allow", "scopes")

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

_id_argument: _Decorator = click.argument("client_id")
_VALUE_OPTIONS: tuple[_Decorator, ...] = (
    click.option("--description", help="What it is for."),
    click.option(
        "--allow",
        type=click.Choice(ALLOWABLE),
        multiple=True,
        help="What it may do beyond introspecting; may be repeated.",
    ),
    click.option(
        "--scope", "scopes", multiple=True, help="A scope that it may see; may be repeated."
    ),
    click.option(
        "--auth-method",
        "auth_methods",
        type=click.Choice(AUTH_METHODS),
        multiple=True,
        help="How it may say who it is; may be repeated.",
    ),
    click.option(
        "--jwks",
        type=click.File(encoding="utf-8", errors="replace"),
        metavar="FILE|-",
        help="Its public keys: a JWK set, a JWK or PEM.",
    ),
    click.option(
        "--signed-response-alg",
        type=click.Choice(SIGNED_RESPONSE_ALGS),
        help="How signed answers to it are signed.",
    ),
)


def _value_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that set something of a client."""
    for option in reversed(_VALUE_OPTIONS):
        function = option(function)
    return function


@click.group("client")
def command() -> None:
    """Create, change, switch and delete the services that may introspect."""


@command.command("create")
@click.argument("name")
@_value_options
@json_option
def create(*, name: str, as_json: bool, **given: Any) -> None:
    """Make a client and show its secret once.

    It may introspect and sees every scope, unless --allow or --scope say otherwise. With keys it
    gets no secret, unless --auth-method asks for one.
    """
    values = replace(_values(**given), name=name)
    with current_store() as store:
        new = clients.create(store, COMMAND_LINE, values)
    _show_new(new, as_json=as_json)


@command.command("change")
@_id_argument
@click.option("--name", help="What it is called.")
@_value_options
@click.option("--allow-nothing", is_flag=True, help="It may introspect, and no more.")
@click.option("--all-scopes", is_flag=True, help="It may see every scope.")
@click.option("--no-keys", is_flag=True, help="It has no keys any more.")
@json_option
def change(
    *,
    client_id: str,
    name: str | None,
    allow_nothing: bool,
    all_scopes: bool,
    no_keys: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Change a client; what is not given stays as it is.

    Without --auth-method it keeps the ways in which it may say who it is.
    """
    values = _values(**given)
    flags = {"allow": allow_nothing, "scopes": all_scopes, "jwks": no_keys}
    empty: dict[str, Any] = {"allow": (), "scopes": None, "jwks": None}
    emptied = {value: empty[value] for value, is_emptied in flags.items() if is_emptied}
    if any(getattr(values, value) is not KEEP for value in emptied):
        raise click.UsageError("One option gives what another one takes away.")
    values = replace(values, name=KEEP if name is None else name, **emptied)
    with current_store() as store:
        changed = clients.change(store, COMMAND_LINE, client_id, values)
    _show(changed, as_json=as_json)


@command.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """List all clients, the oldest first."""
    with current_store() as store:
        found = clients.list_clients(store)
    show_list(map(client_object if as_json else _row, found), _COLUMNS, as_json=as_json)


@command.command("show")
@_id_argument
@json_option
def show(*, client_id: str, as_json: bool) -> None:
    """Show a client."""
    with current_store() as store:
        found = clients.get(store, client_id)
    _show(found, as_json=as_json)


@command.command("rotate-secret")
@_id_argument
@json_option
def rotate_secret(*, client_id: str, as_json: bool) -> None:
    """Give a client a new secret; the one before stays valid until the next rotation."""
    with current_store() as store:
        new = clients.rotate_secret(store, COMMAND_LINE, client_id)
    _show_new(new, as_json=as_json)


@command.command("disable")
@_id_argument
@yes_option
@json_option
def disable(*, client_id: str, yes: bool, as_json: bool) -> None:
    """Disable a client: it cannot ask any more."""
    confirm(f"Disable the client {client_id}?", yes=yes)
    with current_store() as store:
        has_changed = clients.disable(store, COMMAND_LINE, client_id)
        found = client_object(clients.get(store, client_id))
    tell(_done(client_id, "disabled", has_changed=has_changed), found, as_json=as_json)


@command.command("enable")
@_id_argument
@json_option
def enable(*, client_id: str, as_json: bool) -> None:
    """Enable a client again."""
    with current_store() as store:
        has_changed = clients.enable(store, COMMAND_LINE, client_id)
        found = client_object(clients.get(store, client_id))
    tell(_done(client_id, "enabled", has_changed=has_changed), found, as_json=as_json)


@command.command("delete")
@_id_argument
@yes_option
@json_option
def delete(*, client_id: str, yes: bool, as_json: bool) -> None:
    """Delete a client for good; its id never comes back."""
    confirm(f"Delete the client {client_id} for good?", yes=yes)
    with current_store() as store:
        found = client_object(clients.get(store, client_id))
        clients.delete(store, COMMAND_LINE, client_id)
    tell(f"The client {client_id} is deleted.", found, as_json=as_json)


def _values(
    *,
    description: str | None,
    allow: tuple[str, ...],
    scopes: tuple[str, ...],
    auth_methods: tuple[str, ...],
    jwks: TextIO | None,
    signed_response_alg: str | None,
) -> ClientValues:
    """Return what the options set; one that is not given leaves its value as it is."""
    return ClientValues(
        description=KEEP if description is None else description,
        allow=allow or KEEP,
        scopes=scopes or KEEP,
        auth_methods=auth_methods or KEEP,
        jwks=KEEP if jwks is None else jwks.read(),
        introspection_signed_response_alg=signed_response_alg or KEEP,
    )


def _show(client: ClientRecord, *, as_json: bool) -> None:
    show_one(client_object(client) if as_json else _details(client), as_json=as_json)


def _show_new(new: NewClient, *, as_json: bool) -> None:
    if as_json:
        show_one(new_client_object(new), as_json=True)
    elif new.secret is None:
        show_one(_details(new.record), as_json=False)
    else:
        show_secret(_details(new.record) | {"client_secret": new.secret})


def _done(client_id: str, state: str, *, has_changed: bool) -> str:
    return f"The client {client_id} {'is' if has_changed else 'was already'} {state}."


def _row(client: ClientRecord) -> dict[str, object]:
    return {
        "client_id": client.client_id,
        "name": client.name,
        "state": "disabled" if client.is_disabled else "enabled",
        "allow": client.allow,
        "scopes": "all" if client.scopes is None else client.scopes,
    }


def _details(client: ClientRecord) -> dict[str, object]:
    return _row(client) | {
        "description": client.description,
        "auth_methods": client.auth_methods,
        "keys": thumbprints(client.jwks) or "none",
        "signed_response_alg": client.introspection_signed_response_alg,
        "created_at": moment(client.created_at),
    }
