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
from tokensrv.domain import networks
from tokensrv.domain.introspection import Answer, Question
from tokensrv.domain.secret import token_digest
from tokensrv.http.parse import sudo as sudo_asked
from tokensrv.services import introspection
from tokensrv.services.trail.events import COMMAND_LINE
from tokensrv.services.trail.usage import Usage


@click.command("introspect")
@click.option("--sudo", metavar="USER", help="Ask about acting as this user.")
@click.option("--sudo-reason", help="Why, where the instance wants to know.")
@click.option("--remote-ip", metavar="ADDRESS", help="From where it was used.")
@json_option
def introspect(
    *, sudo: str | None, sudo_reason: str | None, remote_ip: str | None, as_json: bool
) -> None:
    """Read a secret from stdin and show what a client would be told about it."""
    named = [] if sudo is None else [sudo]
    ask = sudo_asked.read(None, named, None, [sudo_reason] if sudo_reason else [])
    question = Question(ask=ask, remote_ip=networks.spelling(remote_ip))
    presented = secret("Token")
    with current_store() as store:
        show_one(_ask(store, presented, question), as_json=as_json)


def _ask(store: Store, presented: str, question: Question) -> Answer:
    facts = lookup.build(store).find(digest=token_digest(presented), target=question.target)
    usage = Usage(store)
    try:
        return introspection.introspect(
            store,
            usage,
            facts,
            question,
            COMMAND_LINE,
            method="CLI",
            path="tokensrv token introspect",
        )
    finally:
        usage.close()
