"""``tokensrv db``: care for the database. The migrations themselves are ``services.schema``."""

from __future__ import annotations

import os

import click

from tokensrv.cli.output import json_option, show_one
from tokensrv.clock import SystemClock
from tokensrv.config import load
from tokensrv.services import schema


@click.group("db")
def command() -> None:
    """Upgrade the schema of the database."""


@command.command("upgrade")
@json_option
def upgrade(*, as_json: bool) -> None:
    """Bring the schema up to this version; `tokensrv serve` does the same."""
    changed = schema.upgrade(load(os.environ), SystemClock())
    if as_json:
        show_one({"upgraded": changed}, as_json=True)
    else:
        click.echo("The schema was upgraded." if changed else "The schema is current.")
