"""`tokensrv gate rule`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import Commands

MEMBERS = ["id", "prefix", "user", "user_id", "access", "created_at"]
ONLY = "This is the only rule: whatever it does not allow is closed to everybody now.\n"
OPEN = "Without any rule everybody may use every repository, as far as his scopes go.\n"


@pytest.fixture(autouse=True)
def _users(commands: Commands) -> None:
    commands.text("user", "create", "root", "--email", "root@example.com", "--admin")
    for name in ("alice", "bob"):
        commands.text("user", "create", name, "--email", f"{name}@example.com")


def _add(commands: Commands, prefix: str, user: str = "alice", access: str = "read") -> Any:
    """Return the object of a new rule."""
    return commands.json("gate", "rule", "add", prefix, "--user", user, "--access", access)


def test_a_rule_is_made_and_looks_as_in_the_list(commands: Commands) -> None:
    made = _add(commands, "/team/app.git/", "ALICE", "write")
    assert list(made) == MEMBERS
    assert (made["prefix"], made["user"], made["access"]) == ("team/app", "alice", "write")
    assert made["user_id"] == commands.json("user", "show", "alice")["id"]
    assert commands.json("gate", "rule", "list") == [made]


@pytest.mark.parametrize(
    ("prefix", "access", "said"),
    [
        ("team", "read", "alice may read team and what is below it"),
        ("team", "write", "alice may read and write team and what is below it"),
        ("/", "read", "alice may read every repository"),
    ],
)
def test_a_person_is_told_what_the_rule_allows(
    commands: Commands, prefix: str, access: str, said: str
) -> None:
    done = commands.text("gate", "rule", "add", prefix, "--user", "alice", "--access", access)
    assert done == f"Rule 1: {said}.\n"


def test_a_person_is_told_that_the_first_rule_closes_everything_else(commands: Commands) -> None:
    arguments = ("gate", "rule", "add", "team", "--access", "read", "--user")
    assert commands.run(*arguments, "alice").stderr == ONLY
    assert commands.run(*arguments, "bob").stderr == ""


def test_the_same_prefix_and_user_again_replaces_the_access(commands: Commands) -> None:
    first = _add(commands, "team", access="write")
    assert _add(commands, "team") == first | {"access": "read"}
    assert commands.actions()[-2:] == ["repository_rule.added", "repository_rule.added"]


def test_rules_are_listed_the_oldest_first(commands: Commands) -> None:
    made = [_add(commands, *rule) for rule in (("b", "bob"), ("a", "alice"), ("/", "bob"))]
    assert commands.json("gate", "rule", "list") == made
    assert commands.json("gate", "rule", "list", "--user", "bob") == made[::2]
    lines = [line.split("\t") for line in commands.text("gate", "rule", "list").splitlines()]
    assert lines[0] == ["id", "prefix", "user", "access", "created_at"]
    assert [line[:4] for line in lines[1:3]] == [
        ["1", "b", "bob", "read"],
        ["2", "a", "alice", "read"],
    ]


def test_the_rule_of_a_deleted_user_says_so(commands: Commands) -> None:
    made = _add(commands, "team")
    commands.text("user", "delete", "alice", "--yes")
    assert commands.json("gate", "rule", "list") == [made | {"user": None, "user_id": None}]
    assert "\tteam\t(deleted)\tread\t" in commands.text("gate", "rule", "list")


def test_a_rule_is_removed(commands: Commands) -> None:
    first, second = _add(commands, "a"), _add(commands, "b")
    assert commands.json("gate", "rule", "remove", first["id"]) == first
    assert commands.json("gate", "rule", "list") == [second]
    assert commands.actions()[-1] == "repository_rule.removed"


def test_a_person_is_told_when_everything_is_open_again(commands: Commands) -> None:
    for prefix in ("a", "b"):
        _add(commands, prefix)
    done = commands.run("gate", "rule", "remove", 1)
    assert (done.stdout, done.stderr) == ("Rule 1 is removed.\n", "")
    done = commands.run("gate", "rule", "remove", 2)
    assert (done.stdout, done.stderr) == ("Rule 2 is removed.\n", OPEN)


@pytest.mark.usefixtures("terminal")
def test_removal_asks_on_a_terminal_and_warns_before_the_last(commands: Commands) -> None:
    for prefix in ("a", "b"):
        _add(commands, prefix)
    question = "Remove the rule that alice may read {} and what is below it? [y/N]: "
    asked = commands.run("gate", "rule", "remove", 1, given="y\n")
    assert asked.stderr.startswith(question.format("a"))
    last = commands.run("gate", "rule", "remove", 2, given="n\n")
    assert (last.exit_code, last.stdout) == (1, "")
    warning = f"This is the last rule. {OPEN.rstrip()} "
    assert last.stderr.startswith(warning + question.format("b"))
    assert len(commands.json("gate", "rule", "list")) == 1
    commands.text("gate", "rule", "remove", 2, "--yes")
    assert commands.json("gate", "rule", "list") == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(
            ("add", "team//app", "--user", "alice", "--access", "read"),
            "prefix is invalid; give whole segments of a path, such as team/app, or / for"
            " everything.",
            id="prefix",
        ),
        pytest.param(
            ("add", "team", "--user", "carol", "--access", "read"),
            "User carol was not found; `tokensrv user list` shows what there is.",
            id="user",
        ),
        pytest.param(
            ("list", "--user", "carol"),
            "User carol was not found; `tokensrv user list` shows what there is.",
            id="whose",
        ),
        pytest.param(
            ("remove", "7"),
            "Rule 7 was not found; `tokensrv gate rule list` shows what there is.",
            id="rule",
        ),
    ],
)
def test_a_refusal_is_one_sentence_with_a_way_on(
    commands: Commands, arguments: tuple[str, ...], sentence: str
) -> None:
    assert commands.refusal("gate", "rule", *arguments) == sentence
    assert commands.json("gate", "rule", "list") == []


def test_what_it_may_allow_is_read_or_write(commands: Commands) -> None:
    arguments = ("gate", "rule", "add", "team", "--user", "alice", "--access")
    done = commands.run(*arguments, "admin")
    assert done.exit_code == 2
    assert "'admin' is not one of 'read', 'write'" in done.stderr
