"""`tokensrv config`, and the page that documents the settings."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tokensrv.cli import main
from tokensrv.cli.config import markdown, masked
from tokensrv.config import FIELDS, FILE_NAME, Settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_show_says_what_counts_and_where_it_came_from(
    runner: CliRunner, settings: Settings
) -> None:
    (settings.instance / FILE_NAME).write_text('prefix = "file"\nthreads = 3\nextra_scopes = ["x"]')
    done = runner.invoke(main, ["config", "show", "--json"], env={"TOKENSRV_PREFIX": "env"})
    shown = {row["setting"]: (row["value"], row["origin"]) for row in json.loads(done.stdout)}
    assert len(shown) == len(FIELDS)
    assert shown["TOKENSRV_PREFIX"] == ("env", "environment")
    assert shown["TOKENSRV_THREADS"] == (3, "file")
    assert shown["TOKENSRV_EXTRA_SCOPES"] == (["x"], "file")
    assert shown["TOKENSRV_QUERY_TOKENS"] == (True, "default")
    assert shown["TOKENSRV_INSTANCE"] == (str(settings.instance), "environment")


def test_show_names_the_database_file_that_is_the_default(tmp_path: Path) -> None:
    environment = {"TOKENSRV_INSTANCE": str(tmp_path)}
    done = CliRunner(env=environment).invoke(main, ["config", "show"])
    assert f"TOKENSRV_DATABASE_URL\tsqlite:///{tmp_path}/tokensrv.sqlite3\tdefault\n" in done.stdout


def test_show_never_shows_a_password(tmp_path: Path) -> None:
    environment = {
        "TOKENSRV_INSTANCE": str(tmp_path),
        "TOKENSRV_DATABASE_URL": "postgresql://bob:hunter2@db/x?sslpassword=hunter2",
    }
    done = CliRunner(env=environment).invoke(main, ["config", "show"])
    assert done.exit_code == 0
    assert "hunter2" not in done.output


def test_show_never_shows_a_key_but_that_there_is_one(tmp_path: Path) -> None:
    key = base64.urlsafe_b64encode(bytes(32)).decode()
    environment = {"TOKENSRV_INSTANCE": str(tmp_path), "TOKENSRV_MASTER_KEY": key}
    done = CliRunner(env=environment).invoke(main, ["config", "show"])
    assert "TOKENSRV_MASTER_KEY\t***\tenvironment\n" in done.stdout
    assert f"TOKENSRV_MASTER_KEY_FILE\t{tmp_path}/master.key\tdefault\n" in done.stdout
    assert key.rstrip("=") not in done.output


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        pytest.param("postgresql://u:pw@h:5/d", "postgresql://u:***@h:5/d", id="password"),
        pytest.param("postgresql://u:p@w/:@h/d", "postgresql://u:***@h/d", id="with delimiters"),
        pytest.param("postgresql://:pw@h/d", "postgresql://:***@h/d", id="without user"),
        pytest.param(
            "postgresql:///d?user=u&password=p&sslmode=require&sslpassword=q",
            "postgresql:///d?user=u&password=***&sslmode=require&sslpassword=***",
            id="in the query",
        ),
        pytest.param("postgresql://u@h:5432/d", "postgresql://u@h:5432/d", id="none"),
        pytest.param("sqlite:////srv/t.sqlite3", "sqlite:////srv/t.sqlite3", id="file"),
    ],
)
def test_passwords_in_a_url_are_masked(url: str, shown: str) -> None:
    assert masked(url) == shown


def test_the_page_of_the_settings_is_the_one_made_from_them() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), (
        f"Write tokensrv.cli.config.markdown() to {PAGE}."
    )
