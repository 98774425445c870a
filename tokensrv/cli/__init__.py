"""The command line's frame: which commands there are, and how a refusal looks.

A command lives in the module of its name and is loaded when it is called, so that
``tokensrv --help`` does not wait for a web framework. What the commands do is theirs.
"""

from __future__ import annotations

import importlib
from typing import Any, cast

import click

from tokensrv import __version__
from tokensrv.cli.sentences import sentence
from tokensrv.domain.texts import is_storable
from tokensrv.errors import TokensrvError

# The help stands here because asking the commands for it would load them all.
_COMMANDS = {
    "init": "Make an instance with its first admin and client.",
    "serve": "Serve the API until Ctrl+C or SIGTERM; SIGHUP takes changed settings.",
    "user": "Create, list, switch and delete users.",
    "token": "Create, list, rotate, revoke and introspect tokens.",
    "client": "Create, change, switch and delete the services that may introspect.",
    "keys": "List and rotate the keys that sign answers.",
    "audit": "Read the event log.",
    "config": "Show the settings that count.",
    "db": "Upgrade the schema of the database, and remove what is dead in it.",
}


class _LazyGroup(click.Group):
    """The commands of the table above, each loaded by name when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, or None."""
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"tokensrv.cli.{cmd_name}")
        return cast("click.Command", module.command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table into the help."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

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


@click.group("tokensrv", cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def main() -> None:
    """A self-hosted token service: personal access tokens, introspection, sudo."""
