"""``tokensrv token explain``: why a token is active or not, check by check.

It is the decision of ``tokensrv token introspect`` without its trail: nothing is recorded, and
the token does not count as used.
"""

from __future__ import annotations

import click

from tokensrv import lookup
from tokensrv.cli.asking import secret
from tokensrv.cli.objects import explanation_object
from tokensrv.cli.output import Item, json_option, show_list, show_one
from tokensrv.cli.storage import current_store
from tokensrv.domain import networks
from tokensrv.domain.explanation import Explanation
from tokensrv.domain.introspection import Question
from tokensrv.http.parse import sudo as sudo_asked
from tokensrv.services.lifecycle import explanation


@click.command("explain")
@click.argument("token_id", metavar="[ID]", required=False, type=click.IntRange(1, 2**63 - 1))
@click.option("--client", "client_id", metavar="CLIENT_ID", help="As this client would be told.")
@click.option("--scope", "scopes", multiple=True, help="What is wanted; repeatable.")
@click.option("--sudo", metavar="USER", help="Ask about acting as this user.")
@click.option("--sudo-reason", help="Why, where the instance wants to know.")
@click.option("--remote-ip", metavar="ADDRESS", help="From where it would be used.")
@json_option
def explain(
    *,
    token_id: int | None,
    client_id: str | None,
    scopes: tuple[str, ...],
    sudo: str | None,
    sudo_reason: str | None,
    remote_ip: str | None,
    as_json: bool,
) -> None:
    """Show why a token, named by its ID or by its secret on stdin, is active or not."""
    named = [] if sudo is None else [sudo]
    reasons = [] if sudo_reason is None else [sudo_reason]
    question = Question(
        ask=sudo_asked.read(None, named, None, reasons),
        scopes=scopes,
        remote_ip=networks.spelling(remote_ip),
    )
    token = secret("Token") if token_id is None else token_id
    with current_store() as store:
        found = explanation.explain(
            store, lookup.build(store), None, token, question, client_id=client_id
        )
    if as_json:
        show_one(explanation_object(found), as_json=True)
    else:
        show_list(_rows(found), ("state", "check", "detail"), as_json=False)


def _rows(found: Explanation) -> list[Item]:
    """Return the checks as lines of a list, and below them what comes of it."""
    checks = [
        {
            "state": "passed" if step.passed else "failed",
            "check": step.check,
            "detail": step.detail,
        }
        for step in found.steps
    ]
    told = {"state": "active", "check": "", "detail": "All checks are passed."}
    if not found.is_active:
        told = {"state": "inactive", "check": "", "detail": "What comes after was not looked at."}
    return [*checks, told]
