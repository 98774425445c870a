"""`tokensrv db`."""

from __future__ import annotations

import json

from click.testing import CliRunner

from tests.processes import environment
from tokensrv.cli import main
from tokensrv.config import Settings


def test_upgrade_makes_the_schema_once(empty_settings: Settings) -> None:
    runner = CliRunner(env=environment(empty_settings))
    assert runner.invoke(main, ["db", "upgrade"]).output == "The schema was upgraded.\n"
    assert runner.invoke(main, ["db", "upgrade"]).output == "The schema is current.\n"


def test_upgrade_says_in_json_whether_anything_changed(runner: CliRunner) -> None:
    done = runner.invoke(main, ["db", "upgrade", "--json"])
    assert json.loads(done.stdout) == {"upgraded": False}
