"""``tokensrv gate ssh-keys``: for sshd, which public keys open an account, and what they then do.

Each line forces ``tokensrv gate ssh-serve`` on whoever comes with the key and allows nothing else
(sshd(8), AUTHORIZED_KEYS FILE FORMAT).
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from tokensrv.cli.gate.repositories import root_option
from tokensrv.cli.storage import current_store
from tokensrv.config import env_name
from tokensrv.db import Store
from tokensrv.domain.gates import Gate
from tokensrv.domain.usernames import is_username
from tokensrv.services.directory import users
from tokensrv.services.gates.ssh.brief_usage import brief_usage
from tokensrv.services.gates.ssh.entrance import offer
from tokensrv.services.gates.visit import Visit
from tokensrv.services.keys import ssh_keys
from tokensrv.services.keys.ssh_keys import KeyRecord
from tokensrv.services.trail.events import Origin


@click.command("ssh-keys")
@click.argument("username", metavar="[USER]", required=False)
@click.option("--fingerprint", metavar="SHA256:...", help="Only the key with this fingerprint.")
@root_option
def command(*, username: str | None, fingerprint: str | None, root: Path) -> None:
    """Print the public keys of USER, or without one the key of a fingerprint, whoever's it is."""
    if username is None and fingerprint is None:
        raise click.UsageError("Name a USER or a --fingerprint.")
    with current_store() as store:
        for key in _keys(store, username, fingerprint):
            click.echo(_line(store, key, root))


def _keys(store: Store, username: str | None, fingerprint: str | None) -> list[KeyRecord]:
    if username is None:
        return _offered(store, fingerprint or "", None)
    # A number would be somebody's id.
    owner = users.find(store, username) if is_username(username) else None
    if owner is None:
        return []
    if fingerprint is None:
        return list(ssh_keys.live_keys(store, owner.id))
    return _offered(store, fingerprint, owner.id)


def _offered(store: Store, fingerprint: str, user_id: int | None) -> list[KeyRecord]:
    # From where somebody comes is what sshd does not tell here; it stands in its own log.
    visit = Visit(Gate.SSH, Origin(via="ssh"), "login", fingerprint)
    with brief_usage(store) as usage:
        key = offer(store, usage, visit, fingerprint, user_id)
    return [] if key is None else [key]


def _line(store: Store, key: KeyRecord, root: Path) -> str:
    # Of the environment the folder alone: a URL of a database may hold a password, and a line of
    # this kind is for everybody to see in the list of processes.
    folder = Path(store.settings.instance).absolute()
    program = Path(sys.argv[0]).absolute()
    called = ("env", f"{env_name('instance')}={folder}", str(program), "gate", "ssh-serve")
    # sshd runs it in another folder than this one.
    command = shlex.join((*called, "--key", str(key.id), "--root", str(root.absolute())))
    quoted = command.replace('"', '\\"')
    return f'restrict,command="{quoted}" {key.key}'
