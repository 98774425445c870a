"""RFC 9701: an answer as a JWT, verified as the client that asked would do it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import KeySet
from werkzeug.test import TestResponse

from tests.conftest import START, QueryRecorder
from tests.oauth.conftest import Service, World
from tokensrv.clock import to_ms
from tokensrv.services.keys import key_pairs, signing_keys
from tokensrv.services.trail.events import COMMAND_LINE

MEDIA_TYPE = "application/token-introspection+jwt"
JWT = {"Accept": MEDIA_TYPE}


def verified(service: Service, answer: TestResponse) -> dict[str, Any]:
    """Return the claims of a signed answer, by what the metadata and the keys say alone."""
    assert (answer.status_code, answer.mimetype) == (200, MEDIA_TYPE), answer.text
    document = service.http.get("/.well-known/oauth-authorization-server").get_json()
    key_set = service.http.get(document["jwks_uri"].removeprefix(document["issuer"])).get_json()
    algorithms = document["introspection_signing_alg_values_supported"]
    token = jwt.decode(answer.text, KeySet.import_key_set(key_set), algorithms=algorithms)
    assert token.header["typ"] == "token-introspection+jwt"
    assert token.claims["iss"] == document["issuer"]
    assert token.claims["aud"] == service.client_id
    return dict(token.claims)


def lose_the_master_key(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this node have another master key than the one that made the signing keys."""
    signing_keys.rotate(world.store, COMMAND_LINE)
    other = replace(world.store.settings, master_key=(Fernet.generate_key().decode(),))
    monkeypatch.setattr(world.store, "settings", other)


@pytest.mark.rfc9701("5")
def test_a_signed_answer_says_what_the_plain_one_says_and_whom_it_is_for(world: World) -> None:
    token = world.alice_token.secret
    claims = verified(world.service, world.service.introspect(token, JWT))
    assert claims["iat"] == to_ms(START) // 1000
    assert claims["token_introspection"] == world.service.told(token)
    # Nobody may take it for an access token.
    assert set(claims) == {"iss", "aud", "iat", "token_introspection"}


@pytest.mark.rfc9701("5")
def test_of_an_inactive_token_nothing_else_is_signed(world: World) -> None:
    answer = world.service.introspect("no token", JWT)
    claims = verified(world.service, answer)
    assert claims["token_introspection"] == {"active": False}
    assert set(claims) == {"iss", "aud", "iat", "token_introspection"}


@pytest.mark.rfc9701("5")
def test_a_signed_answer_under_sudo_names_both(world: World) -> None:
    answer = world.service.introspect(world.admin_token.secret, JWT, sudo="alice")
    told = verified(world.service, answer)["token_introspection"]
    assert (told["username"], told["act"]["username"]) == ("alice", "root")
    assert len(world.events("sudo.used")) == 1


@pytest.mark.rfc9701("6")
@pytest.mark.parametrize("alg", key_pairs.ALGORITHMS)
def test_each_client_gets_the_algorithm_that_it_registered(world: World, alg: str) -> None:
    service = world.service_with(introspection_signed_response_alg=alg)
    answer = service.introspect(world.alice_token.secret, JWT)
    verified(service, answer)
    assert jwt.decode(answer.text, _all_keys(world), algorithms=[alg]).header["alg"] == alg


@pytest.mark.rfc9701("6")
def test_without_a_registered_algorithm_it_is_rs256(world: World) -> None:
    answer = world.service.introspect(world.alice_token.secret, JWT)
    assert jwt.decode(answer.text, _all_keys(world), algorithms=["RS256"])


def _all_keys(world: World) -> KeySet:
    return KeySet.import_key_set({"keys": signing_keys.published(world.store)})


def test_a_rotation_goes_unnoticed(world: World) -> None:
    before = world.service.introspect(world.alice_token.secret, JWT)
    signing_keys.rotate(world.store, COMMAND_LINE)
    for _ in range(2):
        verified(world.service, before)
        now = world.service.introspect(world.alice_token.secret, JWT)
        verified(world.service, now)
        world.clock.advance(seconds=signing_keys.LEAD.total_seconds())
    assert now.text.partition(".")[0] != before.text.partition(".")[0]


@pytest.mark.rfc9701("4")
@pytest.mark.parametrize(
    ("accept", "is_signed"),
    [
        (MEDIA_TYPE, True),
        (MEDIA_TYPE.upper(), True),
        (f"{MEDIA_TYPE}, application/json;q=0.9", True),
        (f"application/json;q=0.9, {MEDIA_TYPE}", True),
        (f"{MEDIA_TYPE};q=0.5, */*;q=0.1", True),
        (f"application/*, application/json;q=0.5, {MEDIA_TYPE};q=0.6", True),
        (f"text/html, {MEDIA_TYPE}", True),
        (None, False),
        ("", False),
        ("*/*", False),
        ("application/*", False),
        ("application/json", False),
        ("application/jwt", False),
        ("text/html", False),
        (f"application/json, {MEDIA_TYPE}", False),
        (f"{MEDIA_TYPE};q=0.5, application/json", False),
        (f"{MEDIA_TYPE};q=0", False),
        (f"{MEDIA_TYPE};q=0, */*", False),
        (f"{MEDIA_TYPE};q=0.4, application/*", False),
        ("application/token-introspection", False),
        (",;q=,/", False),
    ],
)
def test_an_answer_is_signed_for_whoever_would_rather_have_it_so(
    world: World, accept: str | None, is_signed: bool
) -> None:
    headers = {} if accept is None else {"Accept": accept}
    answer = world.service.introspect(world.alice_token.secret, headers)
    assert answer.status_code == 200
    assert answer.mimetype == (MEDIA_TYPE if is_signed else "application/json")
    assert answer.headers["Vary"] == "Accept"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(accept=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=80))
def test_no_wish_is_a_fault_of_ours(world: World, accept: str) -> None:
    answer = world.service.introspect("no token", {"Accept": accept})
    assert answer.status_code == 200


@pytest.mark.rfc9701("4")
@pytest.mark.parametrize(
    ("credentials", "form", "status"),
    [
        ("Basic Og==", {"token": "x"}, 401),
        ("", {"token": "x"}, 401),
        (None, {}, 400),
    ],
)
def test_a_refusal_is_never_signed(
    world: World, credentials: str | None, form: dict[str, str], status: int
) -> None:
    headers = JWT | ({} if credentials is None else {"Authorization": credentials})
    answer = world.service.post("/oauth/introspect", form, headers)
    assert (answer.status_code, answer.mimetype) == (status, "application/json")


@pytest.mark.rfc9701("5")
def test_a_token_that_asks_is_no_client_so_there_is_nobody_to_sign_for(world: World) -> None:
    asking = world.token(world.root, "introspect").secret
    bearer = {"Authorization": f"Bearer {asking}"}
    signed = world.service.introspect(world.alice_token.secret, bearer | JWT)
    assert (signed.status_code, signed.get_json()["error"]) == (400, "invalid_request")
    either = {"Accept": f"{MEDIA_TYPE};q=0.5, application/json"}
    assert world.service.told(world.alice_token.secret, bearer | either)["active"] is True


def test_a_signed_answer_is_kept_by_nobody(world: World) -> None:
    headers = world.service.introspect(world.alice_token.secret, JWT).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Pragma"] == "no-cache"
    assert headers["X-Accel-Expires"] == "0"


def test_the_first_signed_answer_makes_its_key_and_records_for_whom(world: World) -> None:
    world.service.introspect(world.alice_token.secret, JWT)
    (event,) = world.events("key.created")
    assert event.client_id == world.service.client_id
    assert event.data["alg"] == "RS256"


def test_a_key_costs_one_statement_and_json_needs_none(
    world: World, query_recorder: QueryRecorder
) -> None:
    world.service.introspect(world.alice_token.secret, JWT)
    for headers, statements in ((JWT, 2), ({}, 1)):
        query_recorder.clear()
        world.service.introspect(world.alice_token.secret, headers)
        assert len(query_recorder.statements) == len(query_recorder.selects) == statements


def test_without_its_key_a_node_signs_nothing_says_why_and_goes_on_in_json(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lose_the_master_key(world, monkeypatch)
    signed = world.service.introspect(world.admin_token.secret, JWT, sudo="alice")
    assert (signed.status_code, signed.headers["Retry-After"]) == (503, "1")
    assert signed.get_json() == {"error": "temporarily_unavailable"}
    assert world.events("sudo.used") == []
    assert "key.unavailable" in caplog.messages
    assert world.service.told(world.alice_token.secret)["active"] is True
    ready = world.http.get("/readyz")
    assert (ready.status_code, ready.get_json()["status"]) == (200, "degraded")
    assert "another master key" in ready.get_json()["why"]
    assert len(world.http.get("/oauth/jwks").get_json()["keys"]) == 1


@pytest.mark.rfc9701("7")
def test_the_metadata_names_the_algorithms(world: World) -> None:
    document = world.http.get("/.well-known/oauth-authorization-server").get_json()
    assert document["introspection_signing_alg_values_supported"] == ["RS256", "ES256", "Ed25519"]
    # Nothing is encrypted, so nothing is said about it.
    assert not [name for name in document if name.startswith("introspection_encryption")]
