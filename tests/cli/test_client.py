"""`tokensrv client`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Commands
from tests.keys import key_for, public

MEMBERS = [
    "client_id",
    "name",
    "description",
    "disabled",
    "auth_methods",
    "scopes",
    "allow",
    "created_at",
    "jwks",
    "introspection_signed_response_alg",
]


def test_a_new_client_may_introspect_and_no_more(commands: Commands) -> None:
    made = commands.json("client", "create", "web")
    assert list(made) == [*MEMBERS, "client_secret"]
    assert (made["name"], made["allow"], made["scopes"]) == ("web", [], None)
    assert made["disabled"] is False
    assert made["client_secret"].startswith("tsc_")


def test_a_client_is_made_with_what_it_may_and_sees(commands: Commands) -> None:
    options = ["--allow", "sudo", "--allow", "batch", "--scope", "read_user", "--scope", "api"]
    made = commands.json("client", "create", "web", *options, "--description", "The shop")
    assert made["allow"] == ["sudo", "batch"]
    assert made["scopes"] == ["read_user", "api"]
    assert made["description"] == "The shop"


def test_a_person_sees_the_secret_once_and_is_told_so(commands: Commands) -> None:
    done = commands.run("client", "create", "web")
    assert done.exit_code == 0
    assert done.stdout.count("\ttsc_") == 1
    assert done.stderr == "Keep the secret: it is shown only now.\n"


def test_the_list_never_shows_a_secret(commands: Commands) -> None:
    first = commands.json("client", "create", "first")
    second = commands.json("client", "create", "second", "--allow", "sudo")
    listed = commands.json("client", "list")
    assert [list(client) for client in listed] == [MEMBERS, MEMBERS]
    assert [client["client_id"] for client in listed] == [first["client_id"], second["client_id"]]
    lines = commands.text("client", "list").splitlines()
    assert lines[0].split("\t") == ["client_id", "name", "state", "allow", "scopes"]
    assert lines[2].split("\t") == [second["client_id"], "second", "enabled", "sudo", "all"]


def test_show_is_the_object_of_the_list(commands: Commands) -> None:
    made = commands.json("client", "create", "web")
    assert [commands.json("client", "show", made["client_id"])] == commands.json("client", "list")
    assert "name\tweb\n" in commands.text("client", "show", made["client_id"])


def test_rotation_gives_a_new_secret_that_no_event_knows(
    commands: Commands, never_shown: Callable[[str], bool]
) -> None:
    made = commands.json("client", "create", "web")
    rotated = commands.json("client", "rotate-secret", made["client_id"])
    assert rotated["client_secret"] != made["client_secret"]
    assert never_shown(made["client_secret"])
    assert never_shown(rotated["client_secret"])
    assert commands.actions() == ["client.created", "client.secret_rotated"]


def test_a_client_is_disabled_and_enabled(commands: Commands) -> None:
    client_id = commands.json("client", "create", "web")["client_id"]
    assert commands.text("client", "disable", client_id) == f"The client {client_id} is disabled.\n"
    again = commands.text("client", "disable", client_id)
    assert again == f"The client {client_id} was already disabled.\n"
    assert commands.json("client", "show", client_id)["disabled"] is True
    assert commands.json("client", "enable", client_id)["disabled"] is False
    assert commands.text("client", "enable", client_id).endswith("was already enabled.\n")
    assert commands.actions() == ["client.created", "client.disabled", "client.enabled"]


@pytest.mark.usefixtures("terminal")
def test_disabling_asks_on_a_terminal(commands: Commands) -> None:
    client_id = commands.json("client", "create", "web")["client_id"]
    done = commands.run("client", "disable", client_id, given="n\n")
    assert (done.exit_code, done.stdout) == (1, "")
    assert commands.json("client", "show", client_id)["disabled"] is False
    commands.text("client", "disable", client_id, "--yes")
    assert commands.json("client", "show", client_id)["disabled"] is True


def test_a_client_is_made_with_keys_from_a_file_and_gets_no_secret(
    commands: Commands, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(public(key_for("ES256"))))
    made = commands.json("client", "create", "web", "--jwks", file)
    assert (made["client_secret"], made["auth_methods"]) == (None, ["private_key_jwt"])
    assert made["jwks"] == public(key_for("ES256"))


def test_keys_may_come_on_stdin_as_pem(commands: Commands) -> None:
    pem = key_for("ES256").as_pem(private=False).decode()
    done = commands.run("client", "create", "web", "--jwks", "-", given=pem)
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"keys\t{key_for('ES256').thumbprint()}\n" in done.stdout
    assert "tsc_" not in done.stdout


def test_a_private_key_is_refused_and_not_repeated(commands: Commands) -> None:
    pem = key_for("ES256").as_pem(private=True).decode()
    expected = "jwks holds a private or a shared key; give the public half alone."
    assert commands.refusal("client", "create", "web", "--jwks", "-", given=pem) == expected
    garbage = commands.refusal("client", "create", "web", "--jwks", "-", given=b"\xff\xfe")
    assert garbage == "jwks is neither JSON nor PEM."


def test_a_client_is_changed_in_what_is_given(commands: Commands) -> None:
    made = commands.json("client", "create", "web", "--allow", "sudo", "--scope", "api")
    client_id = made["client_id"]
    del made["client_secret"]
    options = ("--name", "shop", "--description", "", "--signed-response-alg", "ES256")
    changed = commands.json("client", "change", client_id, *options)
    expected = {"name": "shop", "introspection_signed_response_alg": "ES256"}
    assert changed == made | expected
    more = ("--allow", "batch", "--scope", "read_user", "--auth-method", "client_secret_post")
    changed = commands.json("client", "change", client_id, *more)
    assert (changed["allow"], changed["scopes"]) == (["batch"], ["read_user"])
    assert changed["auth_methods"] == ["client_secret_post"]
    assert "auth_methods\tclient_secret_post\n" in commands.text("client", "change", client_id)
    assert commands.actions() == ["client.created", "client.changed", "client.changed"]


def test_what_a_client_has_can_be_taken_away(commands: Commands) -> None:
    pem = key_for("ES256").as_pem(private=False).decode()
    options = ("--allow", "sudo", "--scope", "api", "--auth-method", "client_secret_basic")
    made = commands.json("client", "create", "web", *options, "--jwks", "-", given=pem)
    flags = ("--allow-nothing", "--all-scopes", "--no-keys")
    changed = commands.json("client", "change", made["client_id"], *flags)
    assert (changed["allow"], changed["scopes"], changed["jwks"]) == ([], None, None)


@pytest.mark.parametrize(
    "options",
    [
        ("--allow-nothing", "--allow", "sudo"),
        ("--all-scopes", "--scope", "api"),
        ("--no-keys", "--jwks", "-"),
    ],
    ids=lambda options: options[0],
)
def test_nothing_is_given_and_taken_away_at_once(
    commands: Commands, options: tuple[str, ...]
) -> None:
    client_id = commands.json("client", "create", "web")["client_id"]
    assert commands.run("client", "change", client_id, *options, given="{}").exit_code == 2


def test_a_client_is_deleted_for_good(commands: Commands) -> None:
    client_id = commands.json("client", "create", "web")["client_id"]
    assert commands.text("client", "delete", client_id) == f"The client {client_id} is deleted.\n"
    assert commands.json("client", "list") == []
    assert commands.actions() == ["client.created", "client.deleted"]


@pytest.mark.usefixtures("terminal")
def test_deleting_asks_on_a_terminal(commands: Commands) -> None:
    client_id = commands.json("client", "create", "web")["client_id"]
    done = commands.run("client", "delete", client_id, given="n\n")
    assert (done.exit_code, done.stdout) == (1, "")
    assert commands.json("client", "delete", client_id, "--yes")["client_id"] == client_id
    assert commands.json("client", "list") == []


@pytest.mark.parametrize("verb", ["show", "change", "disable", "enable", "rotate-secret", "delete"])
def test_an_unknown_client_is_refused(commands: Commands, verb: str) -> None:
    expected = "Client nope was not found; `tokensrv client list` shows what there is."
    assert commands.refusal("client", verb, "nope") == expected
    assert commands.actions() == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(("web", "--scope", "nope"), "scopes does not have a valid value", id="scope"),
        pytest.param((" ",), "name is invalid", id="name"),
        pytest.param(("web", "--description", "x" * 256), "description is invalid", id="long"),
    ],
)
def test_what_makes_no_client_is_refused(
    commands: Commands, arguments: tuple[str, ...], sentence: str
) -> None:
    assert commands.refusal("client", "create", *arguments).startswith(sentence)
    assert commands.json("client", "list") == []


def test_an_unknown_power_is_a_usage_error(commands: Commands) -> None:
    assert commands.run("client", "create", "web", "--allow", "everything").exit_code == 2
