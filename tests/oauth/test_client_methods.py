"""RFC 6749 §2.3: each client by its own methods, one in a request, and one answer to all others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.factories import make_client
from tests.keys import claims_of, key_for, public, signed
from tests.oauth.conftest import World, basic
from tests.oauth.test_introspect_requests import assert_invalid, assert_refused
from tokensrv.services.directory import clients
from tokensrv.services.directory.client_values import AUTH_METHODS, ClientValues
from tokensrv.services.records import NewClient
from tokensrv.services.trail.events import COMMAND_LINE

KEY = key_for("ES256")
ENDPOINTS = ["/oauth/introspect", "/oauth/revoke"]


def ask(world: World, new: NewClient, method: str, path: str = ENDPOINTS[0]) -> TestResponse:
    """Return the answer about an unknown token to a client that uses this method."""
    client_id, secret = new.record.client_id, new.secret or "tsc_none"
    headers: dict[str, str] = {}
    form: dict[str, Any] = {"token": "unknown"}
    if method == "client_secret_basic":
        headers["Authorization"] = basic(client_id, secret)
    elif method == "client_secret_post":
        form |= {"client_id": client_id, "client_secret": secret}
    else:
        form |= {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": signed(claims_of(client_id, world.clock), KEY, "ES256"),
        }
    return world.http.post(path, data=form, headers=headers)


@pytest.mark.rfc6749("2.3")
@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("used", AUTH_METHODS)
@pytest.mark.parametrize("allowed", AUTH_METHODS)
def test_a_client_uses_the_methods_that_it_may_and_no_other(
    world: World, allowed: str, used: str, path: str
) -> None:
    new = make_client(world.store, auth_methods=(allowed,), jwks=public(KEY))
    answer = ask(world, new, used, path)
    assert answer.status_code == 200 if used == allowed else assert_refused(answer) is None


def test_a_right_secret_is_refused_once_the_method_is_taken_away(world: World) -> None:
    new = make_client(world.store, jwks=public(KEY), auth_methods=AUTH_METHODS)
    assert {ask(world, new, method).status_code for method in AUTH_METHODS} == {200}
    fewer = ClientValues(auth_methods=("client_secret_post",))
    clients.change(world.store, COMMAND_LINE, new.record.client_id, fewer)
    assert_refused(ask(world, new, "client_secret_basic"))
    assert_refused(ask(world, new, "private_key_jwt"))
    assert ask(world, new, "client_secret_post").status_code == 200


@pytest.mark.parametrize("method", AUTH_METHODS)
def test_a_disabled_or_deleted_client_is_refused_from_that_moment(
    world: World, method: str
) -> None:
    new = make_client(world.store, jwks=public(KEY), auth_methods=AUTH_METHODS)
    clients.disable(world.store, COMMAND_LINE, new.record.client_id)
    assert_refused(ask(world, new, method))
    clients.enable(world.store, COMMAND_LINE, new.record.client_id)
    assert ask(world, new, method).status_code == 200
    clients.delete(world.store, COMMAND_LINE, new.record.client_id)
    assert_refused(ask(world, new, method))


def both(world: World, secret: str, **form: str) -> TestResponse:
    service = world.service
    headers = {"Authorization": basic(service.client_id, service.secret)}
    sent = {"token": world.alice_token.secret, "client_secret": secret} | form
    return world.http.post(ENDPOINTS[0], data=sent, headers=headers)


@pytest.mark.rfc6749("2.3")
def test_the_same_credentials_twice_are_two_methods_unless_the_instance_tolerates_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = world.service
    assert_invalid(both(world, service.secret, client_id=service.client_id))
    tolerant = replace(world.store.settings, dual_client_auth=True)
    monkeypatch.setattr(world.store, "settings", tolerant)
    answer = both(world, service.secret, client_id=service.client_id)
    assert (answer.status_code, answer.get_json()["active"]) == (200, True)
    assert_invalid(both(world, "tsc_wrong", client_id=service.client_id))
    assert_invalid(both(world, service.secret, client_id="somebody"))
    assert_invalid(both(world, service.secret))


def test_wrong_credentials_twice_are_tolerated_and_still_wrong(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tolerant = replace(world.store.settings, dual_client_auth=True)
    monkeypatch.setattr(world.store, "settings", tolerant)
    headers = {"Authorization": basic(world.service.client_id, "tsc_wrong")}
    form = {"token": "x", "client_id": world.service.client_id, "client_secret": "tsc_wrong"}
    assert_refused(world.http.post(ENDPOINTS[0], data=form, headers=headers))
