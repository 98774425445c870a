"""Many tokens in one question: each is answered as it would be alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tests.conftest import QueryRecorder
from tests.factories import make_client, make_exchanged
from tests.keys import claims_of, key_for, public, signed
from tests.oauth.conftest import World, basic
from tests.services.conftest import contents, failing
from tokensrv.domain.secret import Kind, mint
from tokensrv.oauth.batch import MAX_BYTES, MAX_TOKENS
from tokensrv.services.directory import clients, user_states
from tokensrv.services.lifecycle import tokens
from tokensrv.services.trail.events import COMMAND_LINE

PATH = "/oauth/introspect/batch"
ISSUER = "http://127.0.0.1:8000"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
INACTIVE = {"active": False}


def refusal(answer: TestResponse) -> tuple[int, str]:
    assert answer.mimetype == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.status_code, answer.get_json()["error"]


def of_every_kind(world: World) -> list[str]:
    """Return tokens that are active, dead for many reasons, and none at all."""
    revoked = world.token(world.alice, "api")
    tokens.revoke(world.store, COMMAND_LINE, revoked.record.id)
    other = world.service_with(name="other")
    blocked = world.token(world.bob, "api")
    user_states.block(world.store, COMMAND_LINE, world.bob.id)
    exchanged = make_exchanged(world.store, world.admin_token, world.alice, ("api",))
    return [
        world.alice_token.secret,
        world.admin_token.secret,
        exchanged.secret,
        revoked.secret,
        blocked.secret,
        world.token(world.alice, "api", audience=(other.client_id,)).secret,
        world.token(world.alice, "api", audience=(world.service.client_id,)).secret,
        mint("ts", Kind.PERSONAL),
        world.service.secret,
        "no token",
        "",
        "ä\ud800",
    ]


@pytest.mark.rfc7662("2.2")
@pytest.mark.parametrize(
    "members",
    [
        {},
        {"scope": "read_api"},
        {"scope": "api sudo"},
        {"sudo": "alice"},
        {"sudo": "alice", "sudo_reason": "ticket 7", "scope": "read_user"},
        {"sudo": "other-admin"},
        {"sudo": ""},
        {"remote_ip": "192.0.2.1"},
        {"unknown": [1]},
    ],
)
def test_every_token_is_answered_as_it_would_be_alone(
    world: World, members: dict[str, Any]
) -> None:
    asked = of_every_kind(world)
    answer = world.service.ask_many(asked, **members)
    # A form has no room for the last two: one says nothing, the other cannot be encoded.
    alone = [world.service.told(token, **members) for token in asked[:-2]]
    assert answer.get_json() == {"results": [*alone, INACTIVE, INACTIVE]}
    assert any(one["active"] for one in alone) or members.get("sudo") in {"other-admin", ""}


def test_answers_come_in_the_order_of_the_question_however_often_a_token_stands_there(
    world: World,
) -> None:
    one, two = world.alice_token, world.admin_token
    asked = [one.secret, "no token", two.secret, one.secret, two.secret]
    results = world.service.ask_many(asked).get_json()["results"]
    ids = [result.get("jti") for result in results]
    first, second = str(one.record.id), str(two.record.id)
    assert ids == [first, None, second, first, second]


@pytest.mark.parametrize("sudo", ["alice", 42, " alice"])
def test_a_sudo_may_be_a_name_or_a_number(world: World, sudo: str | int) -> None:
    target = world.alice.id if sudo == 42 else sudo
    (told,) = world.service.ask_many([world.admin_token.secret], sudo=target).get_json()["results"]
    alone = world.service.told(world.admin_token.secret, sudo=str(target))
    assert told == alone


@pytest.mark.parametrize("sudo", [None, True, 1.5, [], ["alice"], {"id": 3}, "", "a,b", "\0", -1])
def test_a_sudo_that_names_nobody_makes_everything_inactive(world: World, sudo: Any) -> None:
    asked = [world.admin_token.secret, world.alice_token.secret]
    answer = world.service.ask_many(asked, sudo=sudo)
    assert answer.get_json() == {"results": [INACTIVE, INACTIVE]}


def test_client_and_all_tokens_are_read_by_one_statement(
    world: World, query_recorder: QueryRecorder
) -> None:
    made = [world.token(world.alice, "api").secret for _ in range(20)]
    asked = [*of_every_kind(world), *made, *made]
    # What acts as another user is on record now, for this minute.
    world.service.ask_many(asked)
    query_recorder.clear()
    answer = world.service.ask_many(asked)
    assert len(query_recorder.statements) == len(query_recorder.selects) == 1
    assert sum(result["active"] for result in answer.get_json()["results"]) == 44


def test_a_batch_of_the_largest_size_is_one_statement_too(
    world: World, query_recorder: QueryRecorder
) -> None:
    asked = [mint("ts", Kind.PERSONAL) for _ in range(MAX_TOKENS - 1)]
    query_recorder.clear()
    answer = world.service.ask_many([*asked, world.alice_token.secret])
    assert len(query_recorder.statements) == 1
    results = answer.get_json()["results"]
    assert len(results) == MAX_TOKENS
    assert [result["active"] for result in results] == [False] * (MAX_TOKENS - 1) + [True]


def test_strings_that_cannot_be_tokens_are_never_looked_up(
    world: World, monkeypatch: pytest.MonkeyPatch, query_recorder: QueryRecorder
) -> None:
    query_recorder.clear()
    garbage = ["no token", "tsp_" + "a" * 36, world.service.secret, "x" * 100_000]
    assert world.service.ask_many(garbage).get_json() == {"results": [INACTIVE] * 4}
    # The client has to be known all the same.
    (statement,) = query_recorder.statements
    assert "client" in statement


def test_every_active_token_was_used_from_the_address_that_is_named(world: World) -> None:
    used, dead = world.alice_token.record.id, world.token(world.bob, "api")
    user_states.block(world.store, COMMAND_LINE, world.bob.id)
    world.service.ask_many([world.alice_token.secret, dead.secret], remote_ip="2001:DB8::1")
    world.usage.flush()
    record = tokens.get(world.store, None, used)
    assert record.last_used_at is not None
    assert record.last_used_ips == ("2001:db8::1",)
    assert tokens.get(world.store, None, dead.record.id).last_used_at is None


def test_every_sudo_of_a_batch_is_on_record_before_it_is_answered(world: World) -> None:
    more = [world.token(world.root, "sudo"), world.token(world.other_admin, "api", "sudo")]
    asked = [world.admin_token, *more, world.alice_token]
    secrets = [token.secret for token in asked]
    answer = world.service.ask_many(secrets * 2, sudo="bob", sudo_reason="ticket 7")
    assert [result["active"] for result in answer.get_json()["results"]] == [
        *[True] * 3,
        False,
    ] * 2
    used = world.events("sudo.used")
    assert {event.token_id for event in used} == {token.record.id for token in asked[:3]}
    assert {(e.subject, e.reason, e.client_id) for e in used} == {
        ("bob", "ticket 7", world.service.client_id)
    }
    assert {(e.data["method"], e.data["path"]) for e in used} == {("POST", PATH)}
    assert {e.data["check"] for e in world.events("sudo.refused")} == {"admin"}


def test_a_batch_whose_sudo_cannot_be_recorded_is_not_answered(world: World) -> None:
    asked = [world.admin_token.secret, world.alice_token.secret]
    with failing(world.store, "INSERT INTO event "):
        answer = world.service.ask_many(asked, sudo="alice")
    assert refusal(answer) == (503, "temporarily_unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert world.events("sudo.used") == []


def test_a_client_needs_to_be_allowed_by_name(world: World) -> None:
    service = world.service_with(allow=("sudo", "exchange", "revoke"))
    before = contents(world.store)
    answer = service.ask_many([world.alice_token.secret], sudo="alice")
    assert refusal(answer) == (400, "unauthorized_client")
    assert contents(world.store) == before


def test_a_client_without_sudo_is_told_nothing_under_sudo(world: World) -> None:
    service = world.service_with(allow=("batch",))
    answer = service.ask_many([world.admin_token.secret], sudo="alice")
    assert answer.get_json() == {"results": [INACTIVE]}
    assert [event.data["check"] for event in world.events("sudo.refused")] == ["client"]


@pytest.mark.rfc7662("2.3")
@pytest.mark.parametrize("way", ["wrong secret", "unknown", "nobody", "disabled", "bearer"])
def test_whoever_is_no_client_is_refused(world: World, way: str) -> None:
    service = world.service
    if way == "disabled":
        clients.disable(world.store, COMMAND_LINE, service.client_id)
    headers = {
        "wrong secret": basic(service.client_id, "tsc_wrong"),
        "unknown": basic("nobody", service.secret),
        "nobody": "",
        "disabled": basic(service.client_id, service.secret),
        "bearer": f"Bearer {world.token(world.root, 'introspect').secret}",
    }
    answer = service.ask_many(["x"], {"Authorization": headers[way]})
    assert refusal(answer) == (401, "invalid_client")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="tokensrv"'


@pytest.mark.rfc6749("2.3.1")
def test_credentials_may_stand_in_the_object_as_they_do_in_a_form(world: World) -> None:
    service = world.service
    credentials = {"client_id": service.client_id, "client_secret": service.secret}
    body = {"tokens": [world.alice_token.secret]} | credentials
    assert world.http.post(PATH, json=body).get_json()["results"][0]["active"] is True
    wrong = body | {"client_secret": "tsc_wrong"}
    assert refusal(world.http.post(PATH, json=wrong)) == (401, "invalid_client")


@pytest.mark.rfc7523("2.2")
@pytest.mark.parametrize("audience", [ISSUER, ISSUER + PATH])
def test_a_client_without_a_secret_signs_who_it_is(world: World, audience: str) -> None:
    key = key_for("ES256")
    client_id = make_client(world.store, jwks=public(key), allow=("batch",)).record.client_id
    assertion = signed(claims_of(client_id, world.clock, aud=audience), key, "ES256")
    body = {
        "tokens": [world.alice_token.secret],
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
    }
    (told,) = world.http.post(PATH, json=body).get_json()["results"]
    assert (told["active"], told["client_id"]) == (True, client_id)
    # And only once.
    assert refusal(world.http.post(PATH, json=body)) == (401, "invalid_client")


@pytest.mark.rfc6749("2.3")
def test_two_methods_at_once_are_refused(world: World) -> None:
    service = world.service
    members = {"client_id": service.client_id, "client_secret": service.secret}
    assert refusal(service.ask_many(["x"], **members)) == (400, "invalid_request")


def test_the_header_sudo_is_refused_and_not_overlooked(world: World) -> None:
    for value in ("alice", "", " "):
        answer = world.service.ask_many([world.alice_token.secret], {"Sudo": value})
        assert refusal(answer) == (400, "invalid_request")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        '"tokens"',
        "{",
        "{}",
        '{"tokens": null}',
        '{"tokens": "x"}',
        '{"tokens": {}}',
        '{"tokens": {"0": "x"}}',
        '{"tokens": []}',
        '{"tokens": [1]}',
        '{"tokens": ["x", null]}',
        '{"tokens": [["x"]]}',
        '{"token": "x"}',
        '{"tokens": ["x"], "tokens": ["y"]}',
        '{"tokens": ["x"], "sudo": "alice", "sudo": "alice"}',
        '{"tokens": ["x"], "unknown": 1, "unknown": 2}',
        '{"tokens": ["x"], "\\u0073udo": "a", "sudo": "b"}',
        '{"tokens": ["x"], "scope": ["api"]}',
        '{"tokens": ["x"], "scope": null}',
        '{"tokens": ["x"], "remote_ip": 1}',
        '{"tokens": ["x"], "client_id": 1}',
        '{"tokens": ["x"], "n": NaN}',
        '{"tokens": ["x"], "n": 1e999}',
        '{"tokens": ["x"]} {}',
        '{"tokens": [' + "[" * 100_000,
        '{"tokens": ["x"], "n": ' + "9" * 5000 + "}",
        json.dumps({"tokens": ["x"] * (MAX_TOKENS + 1)}),
    ],
    ids=lambda body: body[:40],
)
def test_whatever_is_no_such_question_is_invalid(world: World, body: str) -> None:
    answer = world.service.post(PATH, body, content_type="application/json")
    assert refusal(answer) == (400, "invalid_request")


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "text/json"]
)
def test_a_body_of_another_type_is_invalid(world: World, content_type: str | None) -> None:
    body = json.dumps({"tokens": [world.alice_token.secret]})
    answer = world.service.post(PATH, body, content_type=content_type)
    assert refusal(answer) == (400, "invalid_request")


@pytest.mark.parametrize("query", ["tokens=x", "sudo=alice", "scope=api", "client_secret=x"])
def test_parameters_in_the_url_are_refused_and_not_overlooked(world: World, query: str) -> None:
    answer = world.service.ask_many([world.alice_token.secret], path=f"{PATH}?{query}")
    assert refusal(answer) == (400, "invalid_request")


def test_a_question_of_one_mib_is_read_and_one_byte_more_is_too_large(world: World) -> None:
    body = json.dumps({"tokens": [world.alice_token.secret], "filler": ""})
    fits = body[:-2] + "a" * (MAX_BYTES - len(body)) + '"}'
    answer = world.service.post(PATH, fits, content_type="application/json; charset=utf-8")
    assert answer.get_json()["results"][0]["active"] is True
    too_large = world.service.post(PATH, fits + " ", content_type="application/json")
    assert refusal(too_large) == (413, "invalid_request")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_only_post_is_answered(world: World, method: str) -> None:
    answer = world.http.open(PATH, method=method)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    members=st.fixed_dictionaries(
        {},
        optional={
            "tokens": st.lists(st.text(max_size=40), max_size=5) | JSON,
            "sudo": JSON,
            "sudo_reason": JSON,
            "scope": JSON,
            "remote_ip": JSON,
            "client_id": JSON,
            "client_secret": JSON,
        },
    )
)
def test_no_object_is_a_fault_of_ours(world: World, members: dict[str, Any]) -> None:
    body = json.dumps(members)
    answer = world.service.post(PATH, body, content_type="application/json")
    assert answer.status_code in {200, 400, 401}
