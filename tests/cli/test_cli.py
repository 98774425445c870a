"""The command line's frame."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from tokensrv import __version__
from tokensrv.cli import main

COMMANDS = main.list_commands(None)


def test_help_lists_every_command_and_loads_none_of_them() -> None:
    program = (
        "import sys; from tokensrv.cli import main; main(['--help'], standalone_mode=False);"
        "sys.exit(bool({'flask', 'sqlalchemy', 'granian', 'rich'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


def test_no_command_but_the_server_waits_for_a_web_framework() -> None:
    program = (
        "import sys; from tokensrv.cli import main; from tokensrv.cli.gate import command as gate;"
        "[group.get_command(None, name) for group in (main, gate)"
        " for name in group.list_commands(None) if name != 'serve'];"
        "sys.exit(not {'click', 'sqlalchemy'} <= set(sys.modules) or 'flask' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_the_short_help_is_the_commands_own(name: str, runner: CliRunner) -> None:
    help_of_all = " ".join(runner.invoke(main, ["--help"]).output.split())
    own = main.get_command(None, name).get_short_help_str(limit=200)
    assert f"{name} {own}" in help_of_all


def test_the_version_is_printed(runner: CliRunner) -> None:
    assert runner.invoke(main, ["--version"]).output == f"{__version__}\n"


def test_an_unknown_command_is_a_usage_error(runner: CliRunner) -> None:
    done = runner.invoke(main, ["frobnicate"])
    assert done.exit_code == 2
    assert "No such command 'frobnicate'" in done.stderr


def test_a_refusal_is_one_sentence_on_stderr(runner: CliRunner) -> None:
    done = runner.invoke(main, ["config", "show"], env={"TOKENSRV_NOPE": "1"})
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "Error: TOKENSRV_NOPE is not a setting of tokensrv; unset it.\n"
