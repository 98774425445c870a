"""``tokensrv keys``: the keys with which answers to services are signed."""

from __future__ import annotations

import click

from tokensrv.cli.asking import confirm, yes_option
from tokensrv.cli.objects import moment
from tokensrv.cli.output import Item, json_option, show_list
from tokensrv.cli.storage import current_store
from tokensrv.clock import isoformat
from tokensrv.services.keys import signing_keys
from tokensrv.services.keys.key_pairs import ALGORITHMS
from tokensrv.services.keys.signing_keys import KeyRecord
from tokensrv.services.trail.events import COMMAND_LINE

_COLUMNS = ("kid", "alg", "state", "created_at", "retired_at")


@click.group("keys")
def command() -> None:
    """List and rotate the keys that sign answers."""


@command.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """List all keys, the oldest first. They are made when somebody first needs one."""
    with current_store() as store:
        _show(signing_keys.list_keys(store), as_json=as_json)


@command.command("rotate")
@click.option(
    "--alg",
    "algs",
    type=click.Choice(ALGORITHMS),
    multiple=True,
    help="For this algorithm; may be repeated. Without: for all that have a key.",
)
@click.option(
    "--at-once",
    is_flag=True,
    help="The keys before are lost or known to others: remove them, sign with the new ones now.",
)
@yes_option
@json_option
def rotate(*, algs: tuple[str, ...], at_once: bool, yes: bool, as_json: bool) -> None:
    """Make new keys, which sign when everybody has had the time to fetch them, and list all."""
    if at_once:
        confirm("Remove the present keys? What they have signed can be verified no more.", yes=yes)
    with current_store() as store:
        found = signing_keys.rotate(store, COMMAND_LINE, algs, at_once=at_once)
    _show(found, as_json=as_json)


def _show(keys: list[KeyRecord], *, as_json: bool) -> None:
    show_list(map(_object if as_json else _row, keys), _COLUMNS, as_json=as_json)


def _object(key: KeyRecord) -> Item:
    retired_at = None if key.retired_at is None else isoformat(key.retired_at)
    return _row(key) | {"created_at": isoformat(key.created_at), "retired_at": retired_at}


def _row(key: KeyRecord) -> dict[str, object]:
    return {
        "kid": key.kid,
        "alg": key.alg,
        "state": key.state,
        "created_at": moment(key.created_at),
        "retired_at": moment(key.retired_at),
    }
