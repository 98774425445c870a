"""``tokensrv init``: makes an instance and shows its first secrets, with the first steps to paste.

What is made is ``services.instance``'s. An instance that has users is left exactly as it is.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

import click

from tokensrv.cli.folder import writable
from tokensrv.cli.output import json_option, show_one
from tokensrv.cli.storage import any_store
from tokensrv.config import Settings, load
from tokensrv.errors import Forbidden
from tokensrv.services import instance, schema
from tokensrv.services.instance import Initialised
from tokensrv.services.schema import SchemaState
from tokensrv.services.trail.events import COMMAND_LINE


@click.command("init")
@click.option("--if-empty", is_flag=True, help="Do nothing when there are users already.")
@click.option("--url", help="Where it will be served; the external URL of the settings without it.")
@json_option
def command(*, if_empty: bool, url: str | None, as_json: bool) -> None:
    """Make an instance with its first admin and client."""
    settings = load(os.environ)
    try:
        with writable(settings.instance):
            made = _initialise(settings)
    except Forbidden:
        if if_empty:
            return
        raise
    if as_json:
        show_one(_document(made), as_json=True)
    else:
        _welcome(made, (url or settings.external_url).rstrip("/"))


def _initialise(settings: Settings) -> Initialised:
    with any_store(settings) as store:
        # A schema that users live in is not touched, not even upgraded.
        if schema.state(store) is SchemaState.EMPTY or instance.is_empty(store):
            schema.upgrade(settings, store.clock)
        return instance.initialise(store, COMMAND_LINE)


def _document(made: Initialised) -> dict[str, object]:
    admin, client = made.admin, made.client
    return {
        "admin": {
            "id": admin.id,
            "username": admin.username,
            "password": made.password,
            "token": made.token.secret,
        },
        "client": {"client_id": client.record.client_id, "client_secret": client.secret},
    }


def _welcome(made: Initialised, url: str) -> None:
    shown = {
        "admin": made.admin.username,
        "password": made.password,
        "token": made.token.secret,
        "client id": made.client.record.client_id,
        "client secret": made.client.secret,
    }
    click.secho("The instance is ready. Keep these, they are shown only now:\n", bold=True)
    for name, value in shown.items():
        click.echo(f"  {name:<13}  {click.style(value, fg='green')}")
    click.secho(f"\nOnce `tokensrv serve` runs, sign in at {url} or paste these:", bold=True)
    for comment, line in _first_steps(made, url):
        click.secho(f"\n# {comment}", dim=True)
        click.echo(line)


def _first_steps(made: Initialised, url: str) -> Iterator[tuple[str, str]]:
    as_admin = ("--header", f"PRIVATE-TOKEN: {made.token.secret}")
    as_client = ("--user", f"{made.client.record.client_id}:{made.client.secret}")
    users, introspect = f"{url}/api/v4/users", f"{url}/oauth/introspect"
    # Ids count up, so that the next user's is known.
    tokens = f"{users}/{made.admin.id + 1}/personal_access_tokens"
    alice = "username=alice&name=Alice&email=alice@example.com&force_random_password=true"
    question = f"token={made.token.secret}"
    yield "Make the user alice.", _curl(users, as_admin, alice)
    yield "Make her a token.", _curl(tokens, as_admin, "name=laptop&scopes=api")
    yield "Ask about the admin token.", _curl(introspect, as_client, question)
    yield "Ask about it acting as alice.", _curl(introspect, as_client, f"{question}&sudo=alice")


def _curl(url: str, credential: tuple[str, str], data: str) -> str:
    return shlex.join(["curl", *credential, "--data", data, url])
