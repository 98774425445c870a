"""`tokensrv gate`: the group, and the help of what is in it."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from tokensrv.cli.gate import command

NAMES = command.list_commands(None)


def test_help_lists_every_command_and_loads_none_of_them() -> None:
    program = (
        "import sys; from tokensrv.cli import main;"
        "main(['gate', '--help'], standalone_mode=False);"
        "sys.exit(bool({'flask', 'sqlalchemy', 'cryptography', 'rich'} & set(sys.modules)))"
    )
    arguments = [sys.executable, "-c", program]
    done = subprocess.run(arguments, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(f"  {name} " in done.stdout for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_and_every_option_is_explained(name: str) -> None:
    found = command.get_command(None, name)
    assert found.help
    options = [option for option in found.params if isinstance(option, click.Option)]
    assert [option.name for option in options if not option.help] == []
