"""What commands ask the person at the terminal: whether he is sure, and for a secret.

Without a terminal nobody is asked: a script has decided already, and its secret comes on stdin.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

yes_option: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--yes", "-y", is_flag=True, help="Do not ask."
)


def is_terminal() -> bool:
    """Return whether somebody is there to answer."""
    return sys.stdin.isatty()


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal; anything but yes ends the command with exit code 1."""
    if not yes and is_terminal():
        click.confirm(question, abort=True, err=True)


def secret(name: str, *, is_new: bool = False) -> str:
    """Return the first line of stdin; on a terminal it is asked for and not shown."""
    if is_terminal():
        answer: str = click.prompt(
            name, hide_input=True, confirmation_prompt=is_new, err=True, show_default=False
        )
        return answer
    try:
        line = sys.stdin.buffer.readline().decode()
    except UnicodeDecodeError:
        raise click.ClickException(f"{name} on stdin is not UTF-8; encode it.") from None
    if not (found := line.rstrip("\r\n")):
        raise click.ClickException(f"{name} is missing; give it as a line on stdin.")
    return found
