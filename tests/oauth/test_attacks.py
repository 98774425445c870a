"""Attacks on introspection and revocation that once worked."""

from __future__ import annotations

import json

import pytest

from tests.factories import make_client
from tests.oauth.conftest import World, as_service
from tests.oauth.exchanges import ask, exchanged, of_token, refused
from tokensrv.services.directory import user_states
from tokensrv.services.lifecycle import tokens
from tokensrv.services.lifecycle.token_values import TokenChanges
from tokensrv.services.trail.events import COMMAND_LINE

INACTIVE = {"active": False}


@pytest.mark.rfc7662("2.2")
def test_a_demoted_admins_token_shows_no_admins_scope(world: World) -> None:
    user_states.demote(world.store, COMMAND_LINE, world.root.id)
    assert world.service.told(world.admin_token.secret)["scope"] == "api"
    assert world.service.told(world.admin_token.secret, scope="sudo") == INACTIVE


@pytest.mark.parametrize("name", ["sudo[]", "sudo[x]"])
def test_a_sudo_in_brackets_is_not_overlooked(world: World, name: str) -> None:
    assert world.service.told(world.admin_token.secret, **{name: "alice"}) == INACTIVE


def test_nothing_is_recorded_about_a_token_that_is_for_others(world: World) -> None:
    """The event would take its time, and so tell that there is such a token."""
    other = make_client(world.store, allow=("sudo",))
    token = world.token(world.root, "api", "sudo", audience=(other.record.client_id,))
    assert world.service.told(token.secret, sudo="nobody-at-all") == INACTIVE
    assert world.events("sudo.refused") == []


@pytest.mark.rfc7009("2.1")
def test_a_client_revokes_no_token_that_is_for_others(world: World) -> None:
    other = as_service(world.http, make_client(world.store))
    token = world.token(world.alice, "api", audience=(other.client_id,))
    assert world.service.revoke(token.secret).status_code == 200
    assert other.told(token.secret)["active"] is True


def test_what_was_cut_between_reading_and_recording_is_not_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is made of what was true when the sudo was recorded."""
    token = world.token(world.root, "api", "read_user", "sudo")
    lookup = world.http.application.extensions["tokensrv_lookup"]
    find = lookup.find

    def find_and_cut(**wanted: object) -> object:
        found = find(**wanted)
        narrower = TokenChanges(scopes=("read_user", "sudo"))
        tokens.change(world.store, COMMAND_LINE, token.record.id, narrower)
        return found

    monkeypatch.setattr(lookup, "find", find_and_cut)
    assert world.service.told(token.secret, sudo="alice")["scope"] == "read_user"


def test_failed_logins_and_unreadable_sudos_leave_a_line(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    wrong = as_service(world.http, make_client(world.store))
    stranger = type(wrong)(wrong.http, wrong.client_id, "tsc_wrong")
    stranger.introspect(world.alice_token.secret)
    world.service.introspect(world.admin_token.secret, sudo="")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line.get("status")) for line in lines] == [
        ("request", 401),
        ("sudo.invalid", None),
    ]


def test_a_good_answer_on_the_hot_path_writes_no_line(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    world.service.introspect(world.alice_token.secret)
    assert capsys.readouterr().err == ""


def test_a_sudo_with_an_exchanged_token_is_refused_in_the_name_of_the_actor(world: World) -> None:
    """The admin acts, so the log must not say that the user tried to become the admin."""
    secret = exchanged(
        world.service, **of_token(world.admin_token.secret, requested_subject="alice")
    )
    assert world.service.told(secret, sudo="root") == INACTIVE
    (event,) = world.events("sudo.refused")
    assert (event.actor, event.subject, event.data["check"]) == ("root", "root", "admin")


@pytest.mark.parametrize(
    ("sudo", "action"), [("alice", "sudo.used"), ("nobody-at-all", "sudo.refused")]
)
def test_one_token_many_times_in_a_batch_is_one_event_and_a_count(
    world: World, sudo: str, action: str
) -> None:
    secret = world.admin_token.secret
    results = world.service.ask_many([secret] * 50, sudo=sudo).get_json()["results"]
    assert len(results) == 50
    assert len({json.dumps(result) for result in results}) == 1
    assert len(world.events(action)) == 1
    world.clock.advance(seconds=60)
    world.usage.flush()
    (counted,) = world.events("sudo.counted")
    assert counted.data["count"] == 49


@pytest.mark.rfc8693("2.2.2")
def test_our_own_api_is_no_resource_for_a_token_that_is_for_others(world: World) -> None:
    token = world.token(world.alice, "api", audience=(world.service.client_id,))
    answer = ask(world.service, **of_token(token.secret, resource="http://127.0.0.1:8000"))
    assert refused(answer) == "invalid_target"


@pytest.mark.parametrize(
    ("wanted", "left", "shown"),
    [
        pytest.param("api", ("read_user",), "read_user", id="what is still covered stays"),
        pytest.param("read_repository", ("read_user",), None, id="nothing left is dead"),
    ],
)
def test_an_exchanged_token_has_what_its_source_still_has(
    world: World, wanted: str, left: tuple[str, ...], shown: str | None
) -> None:
    source = world.token(world.alice, "api")
    secret = exchanged(world.service, **of_token(source.secret, scope=wanted))
    tokens.change(world.store, COMMAND_LINE, source.record.id, TokenChanges(scopes=left))
    told = world.service.told(secret)
    assert told.get("scope") == shown
    assert told["active"] is (shown is not None)
