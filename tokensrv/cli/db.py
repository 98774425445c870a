"""``tokensrv db``: care for the database (``services.schema``, ``services.lifecycle.pruning``)."""

from __future__ import annotations

import os

import click

from tokensrv.cli.asking import confirm, yes_option
from tokensrv.cli.output import json_option, show_one, tell
from tokensrv.cli.storage import current_store
from tokensrv.clock import SystemClock
from tokensrv.config import env_name, load
from tokensrv.services import schema
from tokensrv.services.lifecycle import pruning
from tokensrv.services.trail.events import COMMAND_LINE


@click.group("db")
def command() -> None:
    """Upgrade the schema of the database, and remove what is dead in it."""


@command.command("upgrade")
@json_option
def upgrade(*, as_json: bool) -> None:
    """Bring the schema up to this version; `tokensrv serve` does the same."""
    changed = schema.upgrade(load(os.environ), SystemClock())
    if as_json:
        show_one({"upgraded": changed}, as_json=True)
    else:
        click.echo("The schema was upgraded." if changed else "The schema is current.")


@command.command("prune")
@click.option(
    "--older-than-days",
    "days",
    type=click.IntRange(1, 36500),
    help=f"Dead for longer than so many days; {env_name('prune_after_days')} without it.",
)
@yes_option
@json_option
def prune(*, days: int | None, yes: bool, as_json: bool) -> None:
    """Remove tokens that expired or were revoked long ago, for good."""
    days = days or load(os.environ).prune_after_days
    if not days:
        setting = env_name("prune_after_days")
        raise click.UsageError(f"Give --older-than-days, or set {setting}.")
    confirm(f"Remove tokens that have been dead for more than {days} days?", yes=yes)
    with current_store() as store:
        count = sum(pruning.prune(store, COMMAND_LINE, days=days))
    tell(f"{count} tokens were removed.", {"pruned": count}, as_json=as_json)
