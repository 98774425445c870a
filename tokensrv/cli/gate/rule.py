"""``tokensrv gate rule``: who may read or write which repositories, beside what his token says."""

from __future__ import annotations

from typing import Final

import click

from tokensrv.cli.asking import confirm, yes_option
from tokensrv.cli.objects import moment, rule_object
from tokensrv.cli.output import json_option, show_list, tell
from tokensrv.cli.storage import current_store
from tokensrv.cli.user import get_user
from tokensrv.domain.repositories import EVERYTHING, Access
from tokensrv.services import repositories
from tokensrv.services.repositories import RuleRecord
from tokensrv.services.trail.events import COMMAND_LINE

_COLUMNS: Final = ("id", "prefix", "user", "access", "created_at")
_MAY: Final = {Access.READ: "read", Access.WRITE: "read and write"}
_ONLY: Final = "This is the only rule: whatever it does not allow is closed to everybody now."
_OPEN: Final = "Without any rule everybody may use every repository, as far as his scopes go."


@click.group("rule")
def command() -> None:
    """Say who may read or write which repositories.

    Without any rule scopes alone decide. The first one closes to everybody what no rule allows.
    """


@command.command("add")
@click.argument("prefix")
@click.option("--user", "username", required=True, metavar="NAME", help="Who may.")
@click.option(
    "--access",
    type=click.Choice([*map(str, Access)]),
    required=True,
    help="To write is to read as well.",
)
@json_option
def add(*, prefix: str, username: str, access: str, as_json: bool) -> None:
    """Let a user into every repository below PREFIX.

    PREFIX is whole segments of a path, such as team or team/app, or / for everything. For the
    same prefix and user again it replaces the access.
    """
    with current_store() as store:
        user = get_user(store, username)
        rule = repositories.add(store, COMMAND_LINE, prefix=prefix, user_id=user.id, access=access)
        is_only = repositories.count(store) == 1
    tell(f"Rule {rule.id}: {_said(rule)}.", rule_object(rule), as_json=as_json)
    if is_only and not as_json:
        click.echo(_ONLY, err=True)


@command.command("list")
@click.option("--user", "username", metavar="NAME", help="Only the rules for this user.")
@json_option
def list_(*, username: str | None, as_json: bool) -> None:
    """List the rules, the oldest first."""
    with current_store() as store:
        user_id = None if username is None else get_user(store, username).id
        found = repositories.list_rules(store, user_id=user_id)
    show_list(map(rule_object if as_json else _row, found), _COLUMNS, as_json=as_json)


@command.command("remove")
@click.argument("rule_id", metavar="ID", type=click.IntRange(1, 2**63 - 1))
@yes_option
@json_option
def remove(*, rule_id: int, yes: bool, as_json: bool) -> None:
    """Remove a rule.

    Without the last one every repository is open to everybody again, as far as scopes go.
    """
    with current_store() as store:
        rule = repositories.get(store, rule_id)
        is_last = repositories.count(store) == 1
        warning = f"This is the last rule. {_OPEN} " if is_last else ""
        confirm(f"{warning}Remove the rule that {_said(rule)}?", yes=yes)
        repositories.remove(store, COMMAND_LINE, rule_id)
        is_open = repositories.count(store) == 0
    tell(f"Rule {rule_id} is removed.", rule_object(rule), as_json=as_json)
    if is_open and not as_json:
        click.echo(_OPEN, err=True)


def _said(rule: RuleRecord) -> str:
    is_everything = rule.prefix == EVERYTHING
    where = "every repository" if is_everything else f"{rule.prefix} and what is below it"
    return f"{rule.username or 'a deleted user'} may {_MAY[Access(rule.access)]} {where}"


def _row(rule: RuleRecord) -> dict[str, object]:
    return {
        "id": rule.id,
        "prefix": rule.prefix,
        "user": rule.username or "(deleted)",
        "access": rule.access,
        "created_at": moment(rule.created_at),
    }
