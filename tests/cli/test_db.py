"""`tokensrv db`."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest
from click.testing import CliRunner

from tests.conftest import ManualClock
from tests.factories import make_admin, make_token
from tests.processes import environment
from tokensrv.cli import main
from tokensrv.config import Settings
from tokensrv.db import Store


def test_upgrade_makes_the_schema_once(empty_settings: Settings) -> None:
    runner = CliRunner(env=environment(empty_settings))
    assert runner.invoke(main, ["db", "upgrade"]).output == "The schema was upgraded.\n"
    assert runner.invoke(main, ["db", "upgrade"]).output == "The schema is current.\n"


def test_upgrade_says_in_json_whether_anything_changed(runner: CliRunner) -> None:
    done = runner.invoke(main, ["db", "upgrade", "--json"])
    assert json.loads(done.stdout) == {"upgraded": False}


@pytest.fixture
def dead(store: Store, clock: ManualClock) -> None:
    """A token that expired long ago: long before the real time, which commands go by."""
    clock.set(datetime(2020, 1, 1, tzinfo=UTC))
    make_token(store, make_admin(store), expires_on=date(2020, 1, 2))


@pytest.mark.parametrize(
    ("options", "environ"),
    [
        pytest.param(["--older-than-days", "30"], {}, id="option"),
        pytest.param([], {"TOKENSRV_PRUNE_AFTER_DAYS": "30"}, id="setting"),
    ],
)
def test_prune_removes_what_has_been_dead_for_long(
    runner: CliRunner, dead: None, options: list[str], environ: dict[str, str]
) -> None:
    done = runner.invoke(main, ["db", "prune", *options], env=environ)
    assert (done.exit_code, done.stdout) == (0, "1 tokens were removed.\n")
    again = runner.invoke(main, ["db", "prune", "--json", *options], env=environ)
    assert json.loads(again.stdout) == {"pruned": 0}


def test_prune_leaves_what_has_not_been_dead_for_so_long(runner: CliRunner, dead: None) -> None:
    done = runner.invoke(main, ["db", "prune", "--json", "--older-than-days", "36500"])
    assert json.loads(done.stdout) == {"pruned": 0}


def test_prune_must_be_told_how_long_is_long(runner: CliRunner, dead: None) -> None:
    done = runner.invoke(main, ["db", "prune"])
    assert done.exit_code == 2
    assert "Give --older-than-days, or set TOKENSRV_PRUNE_AFTER_DAYS." in done.stderr


@pytest.mark.parametrize("days", ["0", "-1", "36501", "x"])
def test_prune_refuses_what_is_no_number_of_days(runner: CliRunner, dead: None, days: str) -> None:
    assert runner.invoke(main, ["db", "prune", "--older-than-days", days]).exit_code == 2


@pytest.mark.usefixtures("terminal")
def test_prune_asks_on_a_terminal(runner: CliRunner, dead: None) -> None:
    arguments = ["db", "prune", "--json", "--older-than-days", "30"]
    assert runner.invoke(main, arguments, input="n\n").exit_code == 1
    done = runner.invoke(main, [*arguments, "--yes"])
    assert json.loads(done.stdout) == {"pruned": 1}
