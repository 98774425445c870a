"""Commands in this process, as a script would run them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tokensrv.cli import asking, main


class Commands:
    """The commands of one instance; stdin is what ``given`` says and no terminal."""

    def __init__(self, runner: CliRunner) -> None:
        self._runner = runner

    def run(self, *arguments: object, given: str | bytes = "") -> Result:
        """Return how the command ended; nothing but its exit code may end it."""
        done = self._runner.invoke(main, list(map(str, arguments)), given)
        assert isinstance(done.exception, SystemExit | None), done.exception
        return done

    def text(self, *arguments: object, given: str = "") -> str:
        """Return what a command that succeeds prints for people."""
        done = self.run(*arguments, given=given)
        assert done.exit_code == 0, done.output
        return done.stdout

    def json(self, *arguments: object, given: str = "") -> Any:
        """Return the document that a command prints, and it alone."""
        done = self.run(*arguments, "--json", given=given)
        assert (done.exit_code, done.stderr) == (0, ""), done.output
        return json.loads(done.stdout)

    def refusal(self, *arguments: object, given: str | bytes = "") -> str:
        """Return the one sentence with which a command fails."""
        done = self.run(*arguments, given=given)
        assert (done.exit_code, done.stdout) == (1, ""), done.output
        assert done.stderr.startswith("Error: ")
        assert done.stderr.endswith(".\n")
        assert done.stderr.count("\n") == 1
        return done.stderr.removeprefix("Error: ").rstrip("\n")

    def actions(self) -> list[str]:
        """Return what happened, the oldest first."""
        return [event["action"] for event in self.json("audit", "list")]


@pytest.fixture
def commands(runner: CliRunner) -> Commands:
    return Commands(runner)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody is there to answer what commands ask; his answers are what is given."""
    monkeypatch.setattr(asking, "is_terminal", lambda: True)


@pytest.fixture
def never_shown(commands: Commands) -> Callable[[str], bool]:
    """Tell whether a secret is nowhere in the event log."""
    return lambda secret: secret not in json.dumps(commands.json("audit", "list"))
