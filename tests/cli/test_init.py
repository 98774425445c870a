"""`tokensrv init`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from click.testing import CliRunner

from tests.cli.conftest import Commands
from tests.databases import opened
from tests.factories import make_user
from tests.processes import environment
from tokensrv.config import Settings, env_name
from tokensrv.domain.secret import has_shape
from tokensrv.services import instance


@pytest.fixture
def empty(empty_settings: Settings) -> Commands:
    """The commands of an instance that has nothing, not even a schema."""
    return Commands(CliRunner(env=environment(empty_settings)))


@pytest.fixture
def settled(settings: Settings) -> Iterator[None]:
    """The instance has a user."""
    with opened(settings) as store:
        make_user(store)
        yield


def test_the_document_has_every_secret(empty: Commands) -> None:
    made = empty.json("init")
    assert list(made) == ["admin", "client"]
    assert list(made["admin"]) == ["id", "username", "password", "token"]
    assert list(made["client"]) == ["client_id", "client_secret"]
    assert (made["admin"]["id"], made["admin"]["username"]) == (1, "root")
    assert has_shape(made["admin"]["token"])
    assert has_shape(made["client"]["client_secret"])


def test_the_first_client_may_do_everything_a_client_can(empty: Commands) -> None:
    made = empty.json("init")
    client = empty.json("client", "show", made["client"]["client_id"])
    assert client["allow"] == ["sudo", "exchange", "batch", "revoke"]
    assert client["scopes"] is None


def test_the_first_token_is_good_for_sudo_and_never_ends(empty: Commands) -> None:
    made = empty.json("init")
    answer = empty.json("token", "introspect", given=made["admin"]["token"])
    assert (answer["active"], answer["username"], answer["scope"]) == (True, "root", "api sudo")
    assert "exp" not in answer


def test_what_was_made_are_events_without_secrets(empty: Commands) -> None:
    made = empty.json("init")
    assert empty.actions() == [
        "schema.upgraded",
        "instance.initialised",
        "user.created",
        "token.created",
        "client.created",
    ]
    log = json.dumps(empty.json("audit", "list"))
    secrets = [made["admin"]["password"], made["admin"]["token"], made["client"]["client_secret"]]
    assert not [secret for secret in secrets if secret in log]


def test_people_get_lines_to_paste_with_the_real_values(empty: Commands) -> None:
    printed = empty.text("init", "--url", "https://tokens.example.com/")
    shown = dict(
        line.strip().split("  ", 1) for line in printed.splitlines() if line.startswith("  ")
    )
    values = {name: value.strip() for name, value in shown.items()}
    lines = [shlex.split(line) for line in printed.splitlines() if line.startswith("curl ")]
    header = f"PRIVATE-TOKEN: {values['token']}"
    pair = f"{values['client id']}:{values['client secret']}"
    assert [line[1:3] for line in lines] == [
        ["--header", header],
        ["--header", header],
        ["--user", pair],
        ["--user", pair],
    ]
    assert [line[-1].removeprefix("https://tokens.example.com") for line in lines] == [
        "/api/v4/users",
        "/api/v4/users/2/personal_access_tokens",
        "/oauth/introspect",
        "/oauth/introspect",
    ]
    assert parse_qs(lines[3][4]) == {"token": [values["token"]], "sudo": ["alice"]}


def test_a_shell_finds_nothing_to_expand_in_the_lines(empty: Commands) -> None:
    printed = empty.text("init", "--url", "http://x/$(reboot)")
    lines = [line for line in printed.splitlines() if line.startswith("curl ")]
    assert [shlex.split(line)[-1].startswith("http://x/$(reboot)/") for line in lines] == [True] * 4
    assert all("'http://x/$(reboot)/" in line for line in lines)


@pytest.mark.usefixtures("settled")
def test_an_instance_with_users_is_left_alone(commands: Commands) -> None:
    before = commands.json("audit", "list")
    expected = "This instance has users already; nothing was changed."
    assert commands.refusal("init") == expected
    assert commands.refusal("init", "--json") == expected
    assert commands.json("audit", "list") == before


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_if_empty_says_nothing_about_an_instance_with_users(
    commands: Commands, options: tuple[str, ...]
) -> None:
    done = commands.run("init", "--if-empty", *options)
    assert (done.exit_code, done.output) == (0, "")
    assert commands.actions() == ["user.created"]


def test_if_empty_initialises_an_empty_one(empty: Commands) -> None:
    assert empty.json("init", "--if-empty")["admin"]["username"] == "root"


def test_a_schema_without_users_is_initialised(commands: Commands) -> None:
    assert commands.json("init")["admin"]["id"] == 1


def test_another_init_that_was_quicker_counts(
    commands: Commands, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(settings) as store:
        make_user(store)
    # It looked before the other one had finished.
    monkeypatch.setattr(instance, "is_empty", lambda store: True)
    done = commands.run("init", "--if-empty")
    assert (done.exit_code, done.output) == (0, "")


@pytest.mark.usefixtures("settled")
def test_an_old_schema_that_users_live_in_is_not_even_upgraded(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def upgrade(*_: object) -> None:
        raise AssertionError("the schema was touched")

    monkeypatch.setattr("tokensrv.services.schema.upgrade", upgrade)
    assert "nothing was changed" in commands.refusal("init")


def test_the_folder_is_made_for_the_owner_alone(empty_settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "instance"
    found = environment(empty_settings) | {env_name("instance"): str(folder)}
    Commands(CliRunner(env=found)).json("init")
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("folder", ["/proc", "/proc/new"])
def test_a_folder_that_cannot_be_written_is_refused(folder: str) -> None:
    # Not even root can write there.
    commands = Commands(CliRunner(env={env_name("instance"): folder}))
    assert commands.refusal("init").startswith(f"The instance folder {folder} cannot be written: ")
