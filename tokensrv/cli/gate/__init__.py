"""``tokensrv gate``: what sshd, Git and a registry call, and the rules for repositories."""

from __future__ import annotations

import click

from tokensrv.cli.lazy import LazyGroup

_COMMANDS = {
    "rule": "Say who may read or write which repositories.",
    "registry-key": "Print what a container registry needs to trust this instance.",
    "ssh-auth": "For PAM: take a token in place of a password.",
    "ssh-keys": "For sshd: print the public keys of a user.",
    "ssh-serve": "For sshd: run Git as the user who has come.",
}


@click.group("gate", cls=LazyGroup, table=_COMMANDS, package=__name__)
def command() -> None:
    """Take tokens in place of passwords, for SSH, Git and registries."""
