"""``tokensrv gate ssh-serve``: what sshd runs for whoever is in, whatever he wanted to run.

He gets Git for the repositories that he may read or write, GitLab's way to make a token, or a
greeting. Git takes the process over, with an environment of its own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple, NoReturn

import click

from tokensrv import lookup
from tokensrv.cli.gate import connection, repositories
from tokensrv.cli.gate.repositories import root_option
from tokensrv.cli.output import text
from tokensrv.cli.storage import current_store
from tokensrv.db import Store
from tokensrv.domain import networks, ssh_commands
from tokensrv.domain.caller import Caller, Check
from tokensrv.domain.gates import Entry, Gate, NoEntry, Obstacle
from tokensrv.domain.scopes import available
from tokensrv.domain.ssh_commands import Command, GitCommand, Greeting, Mistake, NewTokenCommand
from tokensrv.errors import ScopesNotHeld, TokensrvError
from tokensrv.services.gates import turned_away
from tokensrv.services.gates.reach import reach
from tokensrv.services.gates.ssh import minting
from tokensrv.services.gates.ssh.brief_usage import brief_usage
from tokensrv.services.gates.ssh.entrance import by_connection, by_key
from tokensrv.services.gates.visit import Visit
from tokensrv.services.trail.events import Origin
from tokensrv.services.trail.usage import Usage

# Variables that begin with GIT_CONFIG, and others, would make Git do anything: these alone pass.
_PASSED_ON = ("PATH", "HOME", "LANG", "GIT_PROTOCOL", "SSH_CONNECTION")
# GitLab's words. They do not tell whether there is such a repository.
_NOT_FOUND = (
    "The project you were looking for could not be found or you don't have permission to view it."
)


class _Program(NamedTuple):
    arguments: tuple[str, ...]
    environment: dict[str, str]


@click.command("ssh-serve")
@click.option(
    "--key",
    "key_id",
    type=click.IntRange(1, 2**63 - 1),
    metavar="ID",
    help="The SSH key that opened the connection; without one it was a token.",
)
@root_option
def command(*, key_id: int | None, root: Path) -> None:
    """Do what SSH_ORIGINAL_COMMAND asks for, as the user who has come."""
    asked = ssh_commands.read(os.environ.get("SSH_ORIGINAL_COMMAND"))
    visit, program = _visit(asked), None
    with current_store() as store, brief_usage(store) as usage:
        entry = _enter(store, usage, visit, key_id)
        if isinstance(entry, NoEntry):
            _refuse(_words(entry, asked))
        match asked:
            case GitCommand():
                program = _git(store, usage, visit, entry, asked, root)
            case NewTokenCommand():
                _mint(store, usage, visit, entry, asked, key_id)
            case Mistake(explanation, scope):
                # A word that is no scope is a slip, and stands in no log.
                if scope in available(store.settings.extra_scopes):
                    refused = NoEntry.after(entry, Check.WANTED, (scope,))
                    turned_away.record(store, usage, visit, refused)
                _refuse(explanation)
            case Greeting():
                click.echo(f"Welcome to tokensrv, @{entry.caller.subject.username}!")
            case _:
                refused = NoEntry.after(entry, Obstacle.REQUEST)
                turned_away.record(store, usage, visit, refused)
                _refuse("Unknown command")
    # Everything is written by now, and the process goes on as another program.
    if program is not None:
        _become(program)


def _visit(asked: Command | None) -> Visit:
    ip = networks.spelling(os.environ.get("SSH_CONNECTION", "").partition(" ")[0])
    origin = Origin(ip=ip, via="ssh")
    match asked:
        case GitCommand(service, repository):
            return Visit(Gate.SSH, origin, service.value, f"/{repository}", scopes=(service.scope,))
        case NewTokenCommand():
            return Visit(Gate.SSH, origin, ssh_commands.NEW_TOKEN, scopes=("api",))
        case Mistake():
            return Visit(Gate.SSH, origin, ssh_commands.NEW_TOKEN)
    return Visit(Gate.SSH, origin, "command")


def _enter(store: Store, usage: Usage, visit: Visit, key_id: int | None) -> Entry | NoEntry:
    if key_id is not None:
        return by_key(store, usage, visit, key_id)
    here = connection.of(os.getppid())
    return by_connection(store, usage, lookup.build(store), visit, here)


def _git(
    store: Store, usage: Usage, visit: Visit, entry: Entry, asked: GitCommand, root: Path
) -> _Program:
    service, repository = asked.service, asked.repository
    reached = reach(store, usage, visit, entry, repository, writes=service.writes)
    folder = repositories.find(root, repository)
    if isinstance(reached, NoEntry) or folder is None:
        _refuse(_NOT_FOUND)
    arguments = ("git", service.value.removeprefix("git-"), str(folder))
    return _Program(arguments, _environment(reached.caller))


def _environment(caller: Caller) -> dict[str, str]:
    """Return what Git and its hooks find: who it is, in the words of the other gates."""
    found = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    found |= {
        # What Git over HTTP tells its hooks, too.
        "REMOTE_USER": caller.subject.username,
        "X_AUTH_USER": caller.subject.username,
        "X_AUTH_USER_ID": str(caller.subject.id),
        "X_AUTH_SCOPES": " ".join(caller.scopes),
    }
    if caller.token is not None:
        found["X_AUTH_TOKEN_ID"] = str(caller.token.id)
    if caller.is_sudo:
        found["X_AUTH_ACTOR"] = caller.actor.username
    return found


def _mint(
    store: Store,
    usage: Usage,
    visit: Visit,
    entry: Entry,
    asked: NewTokenCommand,
    key_id: int | None,
) -> None:
    """Make a token and print its secret, once, in GitLab's three lines."""
    try:
        new = minting.create(store, usage, visit, entry, asked, key_id=key_id)
    except TokensrvError as error:
        _refuse(f"Failed to create token: {error}")
    click.echo(f"Token:   {new.secret}")
    click.echo(f"Scopes:  {','.join(new.record.scopes)}")
    click.echo(f"Expires: {new.record.expires_on}")


def _become(program: _Program) -> None:
    try:
        # It is no shell that starts it, and that is the point.
        os.execvpe(program.arguments[0], program.arguments, program.environment)  # noqa: S606
    except OSError:
        # Another folder of PATH may be closed to this account: then it is no FileNotFoundError.
        _refuse("There is no Git on this server; whoever runs it must install it.")


def _words(refused: NoEntry, asked: Command | None) -> str:
    """Return what is told to somebody who is not let in."""
    match refused.check, asked:
        case Check.WANTED, GitCommand(service):
            return f"You are not allowed to {'upload' if service.writes else 'download'} code."
        case Check.WANTED, NewTokenCommand():
            return f"Failed to create token: {ScopesNotHeld(refused.missing)}"
    return "Access denied."


def _refuse(words: str) -> NoReturn:
    # What somebody typed may stand in it, and must not move the cursor of whoever reads it.
    click.echo(text(words), err=True)
    raise click.exceptions.Exit(1)
