"""``tokensrv token``: tokens made, shown, narrowed, rotated, revoked.

The command line holds every scope. What a secret is worth is asked in ``cli.introspect``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import Any

import click

from tokensrv.cli.asking import confirm, yes_option
from tokensrv.cli.explain import explain
from tokensrv.cli.introspect import introspect
from tokensrv.cli.objects import moment, new_token_object, token_object
from tokensrv.cli.output import json_option, show_list, show_one, show_secret, tell
from tokensrv.cli.storage import current_store
from tokensrv.cli.user import get_user
from tokensrv.db import Store
from tokensrv.services.directory import users
from tokensrv.services.lifecycle import minting, rotation, tokens
from tokensrv.services.lifecycle.token_lists import TokenFilter, list_tokens_after
from tokensrv.services.lifecycle.token_values import KEEP, TokenChanges
from tokensrv.services.pages import Key
from tokensrv.services.records import NewToken, TokenRecord
from tokensrv.services.trail.events import COMMAND_LINE

_COLUMNS = ("id", "user", "name", "scopes", "state", "expires", "last_used")
_CHUNK = 1_000
_IS_ACTIVE = {"active": True, "inactive": False, "all": None}

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

_id_argument: _Decorator = click.argument(
    "token_id", metavar="ID", type=click.IntRange(1, 2**63 - 1)
)
_expires_option: _Decorator = click.option(
    "--expires-at",
    "expires_at",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="The token is dead from 00:00 UTC of this day.",
)
_allow_ip_option: _Decorator = click.option(
    "--allow-ip",
    "allowed_ips",
    multiple=True,
    metavar="NETWORK",
    help="Only from this address or network; repeatable.",
)


@click.group("token")
def command() -> None:
    """Create, list, rotate, revoke and introspect tokens."""


command.add_command(introspect)
command.add_command(explain)


@command.command("create")
@click.option("--user", "username", required=True, metavar="USER", help="Whose it is.")
@click.option("--name", required=True, help="What it is called.")
@click.option("--scope", "scopes", multiple=True, required=True, help="What it may do; repeatable.")
@_expires_option
@click.option(
    "--audience", multiple=True, metavar="CLIENT_ID", help="Only this client; repeatable."
)
@_allow_ip_option
@click.option("--description", help="What it is for.")
@json_option
def create(
    *,
    username: str,
    name: str,
    scopes: tuple[str, ...],
    expires_at: datetime | None,
    audience: tuple[str, ...],
    allowed_ips: tuple[str, ...],
    description: str | None,
    as_json: bool,
) -> None:
    """Make a token and show its secret once."""
    wish = minting.TokenWish(
        name=name,
        scopes=scopes,
        expires_on=expires_at.date() if expires_at else None,
        description=description,
        audience=audience,
        allowed_ips=allowed_ips,
    )
    with current_store() as store:
        owner = get_user(store, username)
        new = minting.create_for_user(store, COMMAND_LINE, owner.id, wish)
        _show_new(store, new, as_json=as_json)


@command.command("list")
@click.option("--user", "username", metavar="USER", help="Only those of this user.")
@click.option("--state", type=click.Choice(tuple(_IS_ACTIVE)), default="all", show_default=True)
@json_option
def list_(*, username: str | None, state: str, as_json: bool) -> None:
    """List tokens, the oldest first; impersonation tokens too."""
    with current_store() as store:
        wanted = TokenFilter(
            user_id=get_user(store, username).id if username else None, is_active=_IS_ACTIVE[state]
        )
        row = token_object if as_json else _row_of(store)
        show_list(map(row, _all(store, wanted)), _COLUMNS, as_json=as_json)


@command.command("show")
@_id_argument
@json_option
def show(*, token_id: int, as_json: bool) -> None:
    """Show a token."""
    with current_store() as store:
        _show(store, tokens.get(store, None, token_id), as_json=as_json)


@command.command("change")
@_id_argument
@click.option("--name")
@click.option("--description")
@click.option("--scope", "scopes", multiple=True, help="The scopes to keep; repeatable.")
@_expires_option
@click.option("--audience", multiple=True, metavar="CLIENT_ID", help="Repeatable.")
@_allow_ip_option
@json_option
def change(
    *,
    token_id: int,
    name: str | None,
    description: str | None,
    scopes: tuple[str, ...],
    expires_at: datetime | None,
    audience: tuple[str, ...],
    allowed_ips: tuple[str, ...],
    as_json: bool,
) -> None:
    """Rename a token or narrow it: fewer scopes, an earlier expiry, fewer clients and places."""
    changes = TokenChanges(
        name=KEEP if name is None else name,
        description=KEEP if description is None else description,
        scopes=scopes or KEEP,
        expires_on=expires_at.date() if expires_at else KEEP,
        audience=audience or KEEP,
        allowed_ips=allowed_ips or KEEP,
    )
    with current_store() as store:
        changed = tokens.change(store, COMMAND_LINE, token_id, changes)
        _show(store, changed, as_json=as_json)


@command.command("rotate")
@_id_argument
@_expires_option
@yes_option
@json_option
def rotate(*, token_id: int, expires_at: datetime | None, yes: bool, as_json: bool) -> None:
    """Revoke a token and make its successor, whose secret is shown once."""
    confirm(f"Rotate token {token_id}? Its secret stops working at once.", yes=yes)
    day = expires_at.date() if expires_at else None
    with current_store() as store:
        new = rotation.rotate(store, COMMAND_LINE, token_id, expires_on=day)
        _show_new(store, new, as_json=as_json)


@command.command("revoke")
@_id_argument
@yes_option
@json_option
def revoke(*, token_id: int, yes: bool, as_json: bool) -> None:
    """Revoke a token for good."""
    confirm(f"Revoke token {token_id} for good?", yes=yes)
    with current_store() as store:
        tokens.revoke(store, COMMAND_LINE, token_id)
        revoked = token_object(tokens.get(store, None, token_id))
    tell(f"Token {token_id} is revoked.", revoked, as_json=as_json)


def _all(store: Store, wanted: TokenFilter) -> Iterator[TokenRecord]:
    after: Key | None = None
    while True:
        found, after = list_tokens_after(store, None, wanted, after=after, limit=_CHUNK)
        yield from found
        if after is None:
            return


def _show(store: Store, token: TokenRecord, *, as_json: bool) -> None:
    show_one(token_object(token) if as_json else _details(store, token), as_json=as_json)


def _show_new(store: Store, new: NewToken, *, as_json: bool) -> None:
    if as_json:
        show_one(new_token_object(new), as_json=True)
    else:
        show_secret(_details(store, new.record) | {"token": new.secret})


def _row_of(store: Store) -> Callable[[TokenRecord], dict[str, object]]:
    @cache
    def username(user_id: int) -> str:
        owner = users.find(store, str(user_id))
        return owner.username if owner else ""

    return lambda token: {
        "id": token.id,
        "user": username(token.user_id),
        "name": token.name,
        "scopes": token.scopes,
        "state": _state(token),
        "expires": token.expires_on or "never",
        "last_used": moment(token.last_used_at) or "never",
    }


def _details(store: Store, token: TokenRecord) -> dict[str, object]:
    found = _row_of(store)(token) | {
        "kind": token.kind,
        "description": token.description,
        "audience": token.audience or "all clients",
        "created_at": moment(token.created_at),
        "last_used_ips": token.last_used_ips,
    }
    return found | ({"allowed_ips": token.allowed_ips} if token.allowed_ips else {})


def _state(token: TokenRecord) -> str:
    if token.is_revoked:
        return "revoked"
    return "active" if token.is_active else "expired"
