"""``tokensrv token introspect``: what a secret is worth, asked as no client.

It is the whole decision, with its trail: a sudo that is granted or refused here is an event, and
the token counts as used.
"""

from __future__ import annotations

import click

from tokensrv import lookup
from tokensrv.cli.asking import secret
from tokensrv.cli.output import json_option, show_one
from tokensrv.cli.storage import current_store
from tokensrv.db import Store
from tokensrv.domain.caller import InvalidSudo, SudoAsk
from tokensrv.domain.introspection import Answer, Question
from tokensrv.domain.secret import token_digest
from tokensrv.http.parse import sudo as sudo_asked
from tokensrv.services import introspection
from tokensrv.services.events import COMMAND_LINE
from tokensrv.services.usage import Usage


@click.command("introspect")
@click.option("--sudo", metavar="USER", help="Ask about acting as this user.")
@click.option("--sudo-reason", help="Why, where the instance wants to know.")
@json_option
def introspect(*, sudo: str | None, sudo_reason: str | None, as_json: bool) -> None:
    """Read a secret from stdin and show what a client would be told about it."""
    named = [] if sudo is None else [sudo]
    ask = sudo_asked.read(None, named, None, [sudo_reason] if sudo_reason else [])
    presented = secret("Token")
    with current_store() as store:
        show_one(_ask(store, presented, ask), as_json=as_json)


def _ask(store: Store, presented: str, ask: SudoAsk | InvalidSudo | None) -> Answer:
    target = ask.target if isinstance(ask, SudoAsk) else None
    facts = lookup.build(store).find(digest=token_digest(presented), target=target)
    usage = Usage(store)
    try:
        return introspection.introspect(
            store,
            usage,
            facts,
            Question(ask=ask),
            COMMAND_LINE,
            method="CLI",
            path="tokensrv token introspect",
        )
    finally:
        usage.close()
