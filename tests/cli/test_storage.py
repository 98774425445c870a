"""Where commands get their database from."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from tests.cli.conftest import Commands
from tests.databases import opened
from tests.processes import environment
from tokensrv.config import Settings, env_name


def test_an_instance_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    commands = Commands(CliRunner(env={env_name("instance"): str(tmp_path / "new")}))
    assert commands.refusal("client", "list") == "The database has no schema; run `tokensrv init`."
    assert list(tmp_path.iterdir()) == []


def test_a_newer_schema_is_refused(empty_settings: Settings) -> None:
    commands = Commands(CliRunner(env=environment(empty_settings)))
    commands.text("db", "upgrade")
    with opened(empty_settings) as store, store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999_future'"))
    assert "is newer than this code; install" in commands.refusal("user", "list")


def test_an_older_schema_is_refused_with_the_command_to_run(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokensrv.services.schema._head", lambda: "0002_next")
    assert commands.refusal("user", "list").endswith("run `tokensrv db upgrade`.")


def test_a_database_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    environment = {
        env_name("instance"): str(tmp_path),
        env_name("database_url"): "postgresql://tokensrv@127.0.0.1:1/tokensrv",
    }
    commands = Commands(CliRunner(env=environment))
    assert commands.refusal("token", "list") == (
        "The database is not available, try again; `tokensrv config show` names the database."
    )


def test_an_argument_that_no_database_could_store_is_a_usage_error(commands: Commands) -> None:
    done = commands.run("user", "show", "\udcff")
    assert done.exit_code == 2
    assert "not UTF-8" in done.stderr
