"""RFC 7662 §2.1 and §2.3: an admin's token that asks in place of a client."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.conftest import START
from tests.factories import make_exchanged
from tests.oauth.conftest import World
from tests.oauth.test_introspect_requests import assert_invalid
from tokensrv.domain.facts import TokenKind
from tokensrv.services.directory import user_states
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import NewToken
from tokensrv.services.trail.events import COMMAND_LINE

PATH = "/oauth/introspect"


@pytest.fixture
def asking(world: World) -> NewToken:
    return world.token(world.root, "introspect")


def ask(world: World, asking: str, token: str, **more: Any) -> TestResponse:
    """Return the answer about a token to the holder of another one."""
    headers = {"Authorization": f"Bearer {asking}"} | more.pop("headers", {})
    return world.http.post(PATH, data={"token": token} | more, headers=headers)


def assert_challenged(answer: TestResponse, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.get_json()["error"] == code
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert f'error="{code}"' in answer.headers["WWW-Authenticate"]
    assert "active" not in answer.get_json()


@pytest.mark.rfc7662("2.1")
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_an_admins_token_with_the_scope_is_told_what_a_client_is_told(
    world: World, asking: NewToken, scheme: str
) -> None:
    token = world.alice_token.secret
    answer = ask(world, "", token, headers={"Authorization": f"{scheme} {asking.secret}"})
    expected = world.service.told(token)
    assert expected.pop("client_id") == world.service.client_id
    assert (answer.status_code, answer.get_json()) == (200, expected)
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.rfc7662("2.2")
def test_a_token_for_certain_clients_is_inactive_for_it(world: World, asking: NewToken) -> None:
    audience = (world.service.client_id,)
    token = world.token(world.alice, "api", audience=audience).secret
    assert world.service.told(token)["active"] is True
    assert ask(world, asking.secret, token).get_json() == {"active": False}


@pytest.mark.rfc7662("2.2")
@pytest.mark.parametrize("token", ["unknown", "tsp_" + "0" * 36])
def test_an_unknown_token_is_inactive(world: World, asking: NewToken, token: str) -> None:
    assert ask(world, asking.secret, token).get_json() == {"active": False}


def test_it_asks_about_scopes_as_a_client_does(world: World, asking: NewToken) -> None:
    token = world.alice_token.secret
    assert ask(world, asking.secret, token, scope="read_user").get_json()["active"] is True
    assert ask(world, asking.secret, token, scope="api").get_json() == {"active": False}


@pytest.mark.parametrize("form", ["header", "parameter"])
def test_nobody_acts_as_somebody_else_through_it_whatever_else_it_may(
    world: World, form: str
) -> None:
    # More than introspecting is allowed to clients, by name.
    asking = world.token(world.root, "api", "introspect", "sudo").secret
    more = {"sudo": "alice"} if form == "parameter" else {"headers": {"Sudo": "alice"}}
    headers = {"Authorization": f"Bearer {asking}"} | more.pop("headers", {})
    answer = ask(world, asking, world.admin_token.secret, headers=headers, **more)
    assert answer.get_json() == {"active": False}
    (refused,) = world.events("sudo.refused")
    assert refused.data["check"] == "client"
    assert (refused.actor, refused.client_id) == ("root", None)
    assert world.events("sudo.used") == []


def test_a_token_that_was_exchanged_shows_who_really_acts(world: World, asking: NewToken) -> None:
    exchanged = make_exchanged(world.store, world.admin_token, world.alice).secret
    answer = ask(world, asking.secret, exchanged).get_json()
    assert (answer["username"], answer["act"]["username"]) == ("alice", "root")


def test_asking_is_a_use_of_both_tokens(world: World, asking: NewToken) -> None:
    ask(world, asking.secret, world.alice_token.secret, remote_ip="192.0.2.9")
    world.usage.flush()
    used = tokens.get(world.store, None, asking.record.id)
    asked = tokens.get(world.store, None, world.alice_token.record.id)
    assert used.last_used_ips == ("127.0.0.1",)
    assert asked.last_used_ips == ("192.0.2.9",)


def unknown(world: World, asking: NewToken) -> str:
    return "tsp_" + "0" * 36


def blank(world: World, asking: NewToken) -> str:
    return ""


def a_clients_secret(world: World, asking: NewToken) -> str:
    return world.service.secret


def revoked(world: World, asking: NewToken) -> str:
    tokens.revoke(world.store, COMMAND_LINE, asking.record.id)
    return asking.secret


def expired(world: World, asking: NewToken) -> str:
    tomorrow = (START + timedelta(days=1)).date()
    ending = world.token(world.root, "introspect", expires_on=tomorrow)
    world.clock.advance(seconds=86_400)
    return ending.secret


def of_a_blocked_admin(world: World, asking: NewToken) -> str:
    user_states.block(world.store, COMMAND_LINE, world.root.id)
    return asking.secret


@pytest.mark.rfc6750("3.1")
@pytest.mark.parametrize(
    "bad", [unknown, blank, a_clients_secret, revoked, expired, of_a_blocked_admin]
)
def test_a_dead_token_is_told_so_and_nothing_else(
    world: World, asking: NewToken, bad: Callable[[World, NewToken], str]
) -> None:
    answer = ask(world, bad(world, asking), world.alice_token.secret)
    assert_challenged(answer, 401, "invalid_token")


def without_the_scope(world: World) -> str:
    return world.token(world.root, "api", "sudo").secret


def of_a_user(world: World) -> str:
    return world.alice_token.secret


def of_a_demoted_admin(world: World) -> str:
    token = world.token(world.other_admin, "introspect")
    user_states.demote(world.store, COMMAND_LINE, world.other_admin.id)
    return token.secret


def for_certain_clients(world: World) -> str:
    audience = (world.service.client_id,)
    return world.token(world.root, "introspect", audience=audience).secret


def exchanged(world: World) -> str:
    source = world.token(world.root, "introspect")
    return make_exchanged(world.store, source, world.root, ("introspect",)).secret


@pytest.mark.rfc7662("2.3")
@pytest.mark.parametrize(
    "weak", [without_the_scope, of_a_user, of_a_demoted_admin, for_certain_clients, exchanged]
)
def test_a_token_without_the_power_is_refused_whatever_it_asks(
    world: World, weak: Callable[[World], str]
) -> None:
    secret = weak(world)
    for asked in (world.admin_token.secret, "unknown", "", secret):
        answer = ask(world, secret, asked)
        assert_challenged(answer, 403, "insufficient_scope")
        assert answer.get_json()["scope"] == "introspect"


def test_an_impersonation_token_of_an_admin_may_ask(world: World) -> None:
    token = world.token(world.root, "introspect", kind=TokenKind.IMPERSONATION).secret
    assert ask(world, token, world.alice_token.secret).get_json()["active"] is True


@pytest.mark.rfc7662("2.1")
def test_nobody_vouches_for_himself(world: World, asking: NewToken) -> None:
    assert_challenged(ask(world, asking.secret, asking.secret), 401, "invalid_token")


@pytest.mark.rfc7662("2.1")
def test_a_question_without_a_token_is_invalid(world: World, asking: NewToken) -> None:
    assert_invalid(ask(world, asking.secret, ""))


@pytest.mark.rfc6749("2.3")
def test_a_token_and_a_client_are_two_methods(world: World, asking: NewToken) -> None:
    service = world.service
    client = {"client_id": service.client_id, "client_secret": service.secret}
    assert_invalid(ask(world, asking.secret, world.alice_token.secret, **client))


def test_the_power_ends_with_the_scope(world: World, asking: NewToken) -> None:
    both = world.token(world.root, "introspect", "api")
    assert ask(world, both.secret, world.alice_token.secret).status_code == 200
    fewer = tokens.TokenChanges(scopes=("api",))
    tokens.change(world.store, COMMAND_LINE, both.record.id, fewer)
    assert_challenged(ask(world, both.secret, world.alice_token.secret), 403, "insufficient_scope")
