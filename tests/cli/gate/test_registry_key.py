"""`tokensrv gate registry-key`."""

from __future__ import annotations

import json

import pytest
from cryptography import x509

from tests.cli.conftest import Commands
from tokensrv.config import Settings

KEY = ("gate", "registry-key")


def kids(commands: Commands, *options: str) -> list[str]:
    """Return the names of the keys that are printed, and it alone."""
    done = commands.run(*KEY, "--jwks", *options)
    assert (done.exit_code, done.stderr) == (0, "")
    return [key["kid"] for key in json.loads(done.stdout)["keys"]]


def test_the_first_key_is_made_when_it_is_first_needed(commands: Commands) -> None:
    found = kids(commands)
    assert len(found) == 1
    assert kids(commands) == found
    assert commands.actions() == ["key.created"]


def test_certificates_are_printed_and_nothing_else(commands: Commands) -> None:
    done = commands.run(*KEY, "--cert")
    assert (done.exit_code, done.stderr) == (0, "")
    assert len(x509.load_pem_x509_certificates(done.stdout.encode())) == 1
    assert done.stdout.startswith("-----BEGIN CERTIFICATE-----\n")
    assert done.stdout.endswith("-----END CERTIFICATE-----\n")
    assert commands.text(*KEY, "--cert") == done.stdout


def test_a_new_key_is_printed_beside_the_present_one(commands: Commands) -> None:
    before = kids(commands)
    after = kids(commands, "--rotate")
    assert (len(after), after[:1]) == (2, before)
    assert len(x509.load_pem_x509_certificates(commands.text(*KEY, "--cert").encode())) == 2
    assert commands.actions() == ["key.created", "key.rotated"]


def test_keys_that_leaked_are_removed_at_once(commands: Commands) -> None:
    before = kids(commands)
    (new,) = kids(commands, "--rotate", "--at-once")
    assert [new] != before
    assert kids(commands) == [new]


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_that_is_asked_first(commands: Commands) -> None:
    before = kids(commands)
    assert commands.run(*KEY, "--jwks", "--rotate", "--at-once", given="n\n").exit_code == 1
    assert kids(commands) == before
    assert kids(commands, "--rotate", "--at-once", "--yes") != before


@pytest.mark.parametrize("options", [[], ["--cert", "--jwks"], ["--cert", "--at-once"]])
def test_what_makes_no_sense_is_a_usage_error(commands: Commands, options: list[str]) -> None:
    done = commands.run(*KEY, *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert commands.actions() == []


def test_the_keys_of_answers_are_others(commands: Commands) -> None:
    for_registries = kids(commands)
    (answering,) = commands.json("keys", "rotate")
    assert answering["kid"] not in for_registries
    assert kids(commands) == for_registries


def test_a_lost_master_key_is_named_and_overcome(commands: Commands, settings: Settings) -> None:
    before = kids(commands)
    settings.master_key_path.unlink()
    assert str(settings.master_key_path) in commands.refusal(*KEY, "--cert", "--rotate")
    (new,) = kids(commands, "--rotate", "--at-once")
    assert [new] != before
