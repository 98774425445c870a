"""`tokensrv keys`."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Commands
from tokensrv.config import Settings

MEMBERS = ["kid", "alg", "state", "created_at", "retired_at"]


def test_there_are_none_before_somebody_needs_one(commands: Commands) -> None:
    assert commands.json("keys", "list") == []
    assert commands.text("keys", "list").split() == MEMBERS


def test_rotation_makes_a_key_that_waits_for_its_turn(commands: Commands) -> None:
    (first,) = commands.json("keys", "rotate")
    assert list(first) == MEMBERS
    assert (first["alg"], first["state"], first["retired_at"]) == ("RS256", "signing", None)
    old, new = commands.json("keys", "rotate")
    assert (old["kid"], old["state"]) == (first["kid"], "signing")
    assert (new["state"], new["retired_at"]) == ("next", None)
    assert old["retired_at"].endswith("Z")
    assert commands.json("keys", "list") == [old, new]
    assert commands.actions() == ["key.created", "key.rotated"]


def test_people_see_when_a_key_signs_no_more(commands: Commands) -> None:
    commands.text("keys", "rotate", "--alg", "ES256", "--alg", "Ed25519")
    commands.text("keys", "rotate", "--alg", "ES256")
    _, *lines = commands.text("keys", "list").splitlines()
    rows = [line.split("\t") for line in lines]
    assert [row[1:3] for row in rows] == [
        ["ES256", "signing"],
        ["Ed25519", "signing"],
        ["ES256", "next"],
    ]
    assert [bool(row[4]) for row in rows] == [True, False, False]


def test_keys_that_leaked_are_removed_at_once(commands: Commands) -> None:
    (old,) = commands.json("keys", "rotate")
    (new,) = commands.json("keys", "rotate", "--at-once")
    assert new["kid"] != old["kid"]
    assert new["state"] == "signing"


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_that_is_asked_first(commands: Commands) -> None:
    before = commands.json("keys", "rotate")
    done = commands.run("keys", "rotate", "--at-once", given="n\n")
    assert done.exit_code == 1
    assert commands.json("keys", "list") == before
    assert len(commands.json("keys", "rotate", "--at-once", "--yes")) == 1


def test_an_unknown_algorithm_is_a_usage_error(commands: Commands) -> None:
    assert commands.run("keys", "rotate", "--alg", "none").exit_code == 2


def test_a_lost_master_key_is_named_and_overcome(commands: Commands, settings: Settings) -> None:
    commands.json("keys", "rotate")
    settings.master_key_path.unlink()
    refusal = commands.refusal("keys", "rotate")
    assert str(settings.master_key_path) in refusal
    assert "TOKENSRV_MASTER_KEY" in refusal
    assert not settings.master_key_path.exists()
    assert len(commands.json("keys", "rotate", "--at-once")) == 1
