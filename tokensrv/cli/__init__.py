"""The command line's frame: which commands there are, and how a refusal looks.

A command lives in the module of its name and is loaded when it is called, so that
``tokensrv --help`` does not wait for a web framework. What the commands do is theirs.
"""

from __future__ import annotations

from typing import Any

import click

from tokensrv import __version__
from tokensrv.cli.lazy import LazyGroup
from tokensrv.cli.sentences import sentence
from tokensrv.domain.texts import is_storable
from tokensrv.errors import TokensrvError

_COMMANDS = {
    "init": "Make an instance with its first admin and client.",
    "serve": "Serve the API until Ctrl+C or SIGTERM; SIGHUP takes changed settings.",
    "user": "Create, list, switch and delete users.",
    "token": "Create, list, rotate, revoke and introspect tokens.",
    "client": "Create, change, switch and delete the services that may introspect.",
    "keys": "List and rotate the keys that sign answers.",
    "gate": "Take tokens in place of passwords, for SSH, Git and registries.",
    "audit": "Read the event log.",
    "config": "Show the settings that count.",
    "db": "Upgrade the schema of the database, and remove what is dead in it.",
}


class _Main(LazyGroup):
    """The frame of all commands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; what no database could store is refused for all commands at once."""
        if not all(map(is_storable, args)):
            raise click.UsageError("An argument is not UTF-8.", ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what tokensrv refuses is one sentence on stderr and exit code 1."""
        try:
            return super().invoke(ctx)
        except TokensrvError as error:
            raise click.ClickException(sentence(error)) from error


@click.group(
    "tokensrv",
    cls=_Main,
    table=_COMMANDS,
    package=__name__,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="%(version)s")
def main() -> None:
    """A self-hosted token service: personal access tokens, introspection, sudo."""
