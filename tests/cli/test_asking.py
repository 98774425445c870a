"""What commands ask, on a terminal that is one."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.cli.conftest import Commands
from tests.live.servers import SCRIPTS
from tests.processes import environment
from tokensrv.config import Settings


@pytest.mark.parametrize(("answer", "state"), [("n", "active"), ("y", "blocked")])
def test_a_person_is_asked_before_power_is_taken_away(
    commands: Commands, settings: Settings, answer: str, state: str
) -> None:
    commands.text("user", "create", "alice", "--email", "alice@example.com")
    person, terminal = os.openpty()
    with os.fdopen(person, "r+b", buffering=0) as keyboard:
        keyboard.write(f"{answer}\n".encode())
        done = subprocess.run(
            [SCRIPTS / "tokensrv", "user", "block", "alice"],
            check=False,
            env=environment(settings),
            stdin=terminal,
            capture_output=True,
            text=True,
        )
        os.close(terminal)
    assert "Block alice and all his tokens? [y/N]:" in done.stderr
    assert done.returncode == (0 if answer == "y" else 1)
    assert commands.json("user", "show", "alice")["state"] == state
