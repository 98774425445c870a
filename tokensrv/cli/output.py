"""How commands print: tables for people, tab-separated text for pipes, JSON for programs.

It owns the looks alone. Which members an object has is decided by whoever made it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

Item = Mapping[str, object]

# How the states of users, tokens, clients and checks look on a terminal.
_STYLES = {
    "active": "green",
    "enabled": "green",
    "passed": "green",
    "signing": "green",
    "expired": "yellow",
    "deactivated": "yellow",
    "blocked": "red",
    "banned": "red",
    "revoked": "red",
    "disabled": "red",
    "failed": "red",
    "inactive": "red",
}

json_option: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."
)


def show_list(items: Iterable[Item], columns: Sequence[str], *, as_json: bool) -> None:
    """Print a list: a table of these columns, or a JSON array of everything."""
    if as_json:
        click.echo(json.dumps(list(items), indent=2))
    else:
        _table(columns, ([text(item[column]) for column in columns] for item in items))


def show_one(item: Item, *, as_json: bool) -> None:
    """Print one object: a line for each member, or a JSON object."""
    if as_json:
        click.echo(json.dumps(item, indent=2))
    else:
        _table(None, ([name, text(value)] for name, value in item.items()))


def tell(done: str, item: Item, *, as_json: bool) -> None:
    """Print what was done: a sentence for people, the object for programs."""
    if as_json:
        show_one(item, as_json=True)
    else:
        click.echo(done)


def show_secret(item: Item) -> None:
    """Print for people an object with a new secret, and that it will not be shown again."""
    show_one(item, as_json=False)
    # Not on stdout, where a pipe reads the lines.
    click.echo("Keep the secret: it is shown only now.", err=True)


def text(value: object) -> str:
    """Return a value as one line of printable text.

    Names are other people's input: a control character could move the reader's cursor, and a tab
    or a line break would move a value into another column.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return " ".join(text(part) for part in value)
    shown = json.dumps(value) if isinstance(value, Mapping) else str(value)
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in shown
    )


def _table(columns: Sequence[str] | None, rows: Iterable[Sequence[str]]) -> None:
    if sys.stdout.isatty():
        _rich_table(columns, rows)
        return
    if columns:
        click.echo("\t".join(columns))
    for row in rows:
        click.echo("\t".join(row))


def _rich_table(columns: Sequence[str] | None, rows: Iterable[Sequence[str]]) -> None:
    table = Table(box=SIMPLE_HEAD, show_header=columns is not None)
    # An id or a secret must never be cut.
    for column in columns or ("", ""):
        table.add_column(column, overflow="fold")
    for row in rows:
        # Text, not str: brackets in a name are no markup.
        cells = [Text(cell) for cell in row]
        cells[0].stylize("bold")
        # In a list the column names a value, else what stands before it.
        for name, cell in zip(columns or ("", row[0]), cells, strict=True):
            if name == "state":
                cell.stylize(_STYLES.get(cell.plain, ""))
        table.add_row(*cells)
    Console().print(table)
