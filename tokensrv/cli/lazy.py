"""Lazy groups: commands that are loaded when they are called, so that help waits for none."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, cast

import click


class LazyGroup(click.Group):
    """The commands of a table, each the ``command`` of the module of its name in a package.

    The help stands in the table because asking the commands for it would load them all.
    """

    def __init__(self, *args: Any, table: Mapping[str, str], package: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self._table = table
        self._package = package

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, or None."""
        if cmd_name not in self._table:
            return None
        module = importlib.import_module(f"{self._package}.{cmd_name.replace('-', '_')}")
        return cast("click.Command", module.command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table into the help."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._table.items()))
