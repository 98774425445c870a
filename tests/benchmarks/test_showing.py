"""What is shown of a run: goals, the table, and the documentation, which shows the latest one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from benchmarks import machine, profile, publish
from benchmarks.__main__ import command
from benchmarks.cases import FLAT, MANY, Database, Tokens, cases
from benchmarks.measurements import Goal, Row, Run
from benchmarks.picture import picture
from benchmarks.table import table, wanted

AT_LEAST = Goal("ratio", at_least=0.42)


def row(ratio: float, goal: Goal | None = AT_LEAST) -> Row:
    return Row(section="a section", name="a case", values={"ratio": ratio}, goal=goal)


@pytest.mark.parametrize(
    ("goal", "value", "is_met"),
    [
        pytest.param(AT_LEAST, 0.42, True, id="just enough"),
        pytest.param(AT_LEAST, 0.419, False, id="too little"),
        pytest.param(Goal("ratio", at_most=0.25), 0.25, True, id="just in time"),
        pytest.param(Goal("ratio", at_most=0.25), 0.251, False, id="too much"),
        pytest.param(None, 1.0, None, id="no goal"),
        pytest.param(Goal("p99_ms", at_most=20), 1.0, None, id="not measured"),
    ],
)
def test_a_goal_is_met_or_not(goal: Goal | None, value: float, is_met: bool | None) -> None:
    assert row(value, goal).is_met is is_met


def test_the_table_says_what_is_missed() -> None:
    assert wanted(row(0.4)) == "ratio ≥ 0.42: 0.4, missed"
    run = Run("2026-01-31", {"cores": 2}, (row(0.4),))
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table(run))
    assert "ratio ≥ 0.42: 0.4, missed" in captured.get()


def test_what_is_wanted_of_many_tokens_is_wanted_of_no_fewer() -> None:
    sizes = {Database.SQLITE: (10_000, MANY), Database.POSTGRES: (10_000, MANY // 10)}
    found = {
        (case.deployment.database, case.deployment.tokens): case.goal
        for case in cases(sizes, is_quick=False)
        if case.tokens is Tokens.FIRST
    }
    assert found == {
        (Database.SQLITE, 10_000): None,
        (Database.SQLITE, MANY): FLAT,
        (Database.POSTGRES, 10_000): None,
        (Database.POSTGRES, MANY // 10): None,
    }


def test_the_size_that_is_meant_is_named() -> None:
    flat = Row(section="a section", name="a case", values={"flatness": 0.95}, goal=FLAT)
    assert wanted(flat) == "at 10,000,000 tokens: flat ≥ 0.9: 0.95, met"


def test_the_latest_run_is_read_as_it_was_written() -> None:
    run = publish.latest()
    assert publish.text(run) == publish.LATEST.read_text(encoding="utf-8")
    assert Run.from_document(json.loads(json.dumps(run.document()))) == run


def test_the_documentation_shows_the_latest_run() -> None:
    run, page = publish.latest(), publish.PAGE.read_text(encoding="utf-8")
    assert publish.with_numbers(page, run) == page
    assert publish.PICTURE.read_text(encoding="utf-8") == picture(run)


def test_the_documentation_shows_the_latest_profile() -> None:
    latest, page = profile.latest(), publish.PAGE.read_text(encoding="utf-8")
    assert profile.with_profile(page, latest) == page
    assert latest.text() == profile.LATEST.read_text(encoding="utf-8")


def test_the_interpreter_is_named_by_how_it_was_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.base_prefix", "/opt/python")
    for arguments, told in (
        ("'--enable-shared'", "not optimised by a profile"),
        ("'--enable-optimizations' '--with-lto'", "optimised by a profile"),
    ):
        monkeypatch.setattr("sysconfig.get_config_var", {"CONFIG_ARGS": arguments}.get)
        assert machine.of_process()["interpreter"] == told


def test_the_picture_says_in_words_what_it_shows() -> None:
    svg = picture(publish.latest())
    named = re.search(r'aria-labelledby="(\w+) (\w+)"', svg)
    assert named is not None
    for name in named.groups():
        assert re.search(rf'id="{name}">[^<]+<', svg)


def test_without_wrk_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = CliRunner().invoke(command, ["--quick"])
    assert done.exit_code == 1
    assert "wrk is not installed; on Debian: apt install wrk" in done.output


def test_sizes_are_numbers() -> None:
    done = CliRunner().invoke(command, ["--sizes", "many"])
    assert done.exit_code == 2
    assert "whole numbers" in done.output
