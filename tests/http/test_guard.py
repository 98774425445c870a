"""The guard on a real database: who gets in, what is on record, what a refusal says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import ManualClock, QueryRecorder
from tests.factories import make_admin, make_client, make_token, make_user
from tokensrv.clock import today
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.errors import StorageUnavailable
from tokensrv.http.permissions import PERMISSIONS
from tokensrv.services.directory import user_states
from tokensrv.services.lifecycle import rotation, tokens
from tokensrv.services.records import EventRecord, NewToken, UserRecord
from tokensrv.services.reports.event_lists import EventFilter, list_events
from tokensrv.services.trail import sudo
from tokensrv.services.trail.events import COMMAND_LINE

UNKNOWN = "tsp_" + "0" * 36
NOT_UNDER_SUDO = {"message": "403 Forbidden - Not allowed while using sudo"}


@pytest.fixture
def root(store: Store) -> UserRecord:
    return make_admin(store)


@pytest.fixture
def alice(store: Store) -> UserRecord:
    return make_user(store)


@pytest.fixture
def secret(store: Store, root: UserRecord) -> str:
    """The secret of an admin who may act as others."""
    return make_token(store, root, ("api", "sudo")).secret


@pytest.fixture
def call(http_client: FlaskClient) -> Callable[..., TestResponse]:
    """Call the view behind a permission."""

    def call(
        secret: str | None = None,
        endpoint: str = "users.current_user",
        *,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> TestResponse:
        sent = dict(headers or {}) | ({} if secret is None else {"PRIVATE-TOKEN": secret})
        path = f"/api/v4/{endpoint}"
        return http_client.open(path, method=method, headers=sent, **options)

    return call


Call = Callable[..., TestResponse]


def events(store: Store, action: str) -> list[EventRecord]:
    return list_events(store, EventFilter(action=action))


@pytest.mark.parametrize(
    "request_options",
    [
        pytest.param({"headers": {"PRIVATE-TOKEN": "{}"}}, id="PRIVATE-TOKEN"),
        pytest.param({"headers": {"Authorization": "Bearer {}"}}, id="Bearer"),
        pytest.param({"query_string": {"private_token": "{}"}}, id="query"),
        pytest.param({"json": {"private_token": "{}"}}, id="JSON"),
        pytest.param({"data": {"access_token": "{}"}}, id="form"),
    ],
)
def test_each_way_of_presenting_a_token_lets_its_owner_in(
    call: Call, store: Store, alice: UserRecord, request_options: dict[str, dict[str, str]]
) -> None:
    secret = make_token(store, alice).secret
    filled = {
        option: {name: value.format(secret) for name, value in values.items()}
        for option, values in request_options.items()
    }
    answer = call(**filled)
    assert answer.status_code == 200
    assert answer.json == {"actor": "alice", "subject": "alice"}


def test_a_wrong_token_is_not_rescued_by_a_good_one(call: Call, secret: str) -> None:
    answer = call(secret, query_string={"private_token": UNKNOWN})
    assert (answer.status_code, answer.json) == (401, {"message": "401 Unauthorized"})


@pytest.mark.parametrize("presented", [None, UNKNOWN, "junk", "ü", "\x00"])
@pytest.mark.parametrize("endpoint", ["users.current_user", "users.block", "self_token.show"])
def test_anonymous_and_unknown_are_unauthorized(
    call: Call, presented: str | None, endpoint: str
) -> None:
    answer = call(
        query_string={} if presented is None else {"private_token": presented}, endpoint=endpoint
    )
    assert (answer.status_code, answer.json) == (401, {"message": "401 Unauthorized"})


@pytest.mark.parametrize("endpoint", ["users.list_users", "users.get_user"])
def test_users_are_hidden_from_the_anonymous(call: Call, endpoint: str) -> None:
    answer = call(endpoint=endpoint)
    assert (answer.status_code, answer.json) == (403, {"message": "403 Forbidden"})
    assert call(endpoint=endpoint, headers={"Sudo": "alice"}).status_code == 401
    assert call(UNKNOWN, endpoint).status_code == 401


def test_what_cannot_be_a_secret_costs_no_lookup(
    call: Call, secret: str, query_recorder: QueryRecorder
) -> None:
    # The schema is looked at once.
    call(secret)
    query_recorder.clear()
    for wrong in ("junk", secret[:-1], secret[:-1] + "!", UNKNOWN):
        assert call(wrong).status_code == 401
    assert query_recorder.statements == []


def test_a_plain_request_costs_one_statement(
    call: Call, secret: str, query_recorder: QueryRecorder
) -> None:
    call(secret)
    query_recorder.clear()
    assert call(secret).status_code == 200
    assert len(query_recorder.statements) == 1


def test_an_expired_token_is_told_so_before_its_revocation(
    call: Call, store: Store, clock: ManualClock, alice: UserRecord
) -> None:
    day = today(clock).replace(day=today(clock).day + 1)
    token = make_token(store, alice, expires_on=day)
    minted = tokens.revoke(store, COMMAND_LINE, token.record.id)
    assert minted is None
    assert "revoked" in call(token.secret).json["error_description"]
    clock.advance(seconds=24 * 3600)
    answer = call(token.secret)
    assert answer.status_code == 401
    assert answer.json["error_description"].startswith("Token is expired.")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_blocked_owner_is_refused_whatever_he_asks(
    call: Call, store: Store, alice: UserRecord
) -> None:
    token = make_token(store, alice)
    user_states.block(store, COMMAND_LINE, alice.id)
    answer = call(token.secret, headers={"Sudo": ""})
    assert answer.status_code == 403
    assert answer.json == {"message": "403 Forbidden - Your account has been blocked."}


def test_a_missing_scope_is_refused_with_the_scopes_that_would_do(
    call: Call, store: Store, alice: UserRecord
) -> None:
    answer = call(make_token(store, alice, ("read_user",)).secret, "tokens.list_tokens")
    assert answer.status_code == 403
    assert (answer.json["error"], answer.json["scope"]) == ("insufficient_scope", "api read_api")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer realm=")


def test_who_is_no_admin_is_refused(call: Call, store: Store, alice: UserRecord) -> None:
    secret = make_token(store, alice).secret
    for endpoint in ("user_tokens.create_for_user", "users.create_user"):
        answer = call(secret, endpoint, method="POST")
        assert (answer.status_code, answer.json) == (403, {"message": "403 Forbidden"})


def test_a_token_for_another_service_sees_only_itself(
    call: Call, store: Store, alice: UserRecord
) -> None:
    service = make_client(store).record.client_id
    secret = make_token(store, alice, audience=(service,)).secret
    assert call(secret, "self_token.show").status_code == 200
    answer = call(secret)
    assert (answer.status_code, answer.json["error"]) == (403, "insufficient_scope")


def test_a_route_without_a_permission_is_closed(edge: Flask, call: Call, secret: str) -> None:
    edge.add_url_rule("/api/v4/forgotten", "forgotten", lambda: "open")
    edge.add_url_rule("/elsewhere", "elsewhere", lambda: "open")
    answer = call(secret, "forgotten")
    assert (answer.status_code, answer.json) == (403, {"message": "403 Forbidden"})
    assert edge.test_client().get("/elsewhere").status_code == 403


def test_a_broken_body_is_told_before_anything_is_looked_up(
    call: Call, secret: str, query_recorder: QueryRecorder
) -> None:
    call(secret)
    query_recorder.clear()
    answer = call(secret, data=b"{", content_type="application/json")
    assert answer.status_code == 400
    assert answer.json == {"error": "message body does not match declared format"}
    assert query_recorder.statements == []


def test_tokens_in_the_url_can_be_switched_off(
    edge: Flask, store: Store, call: Call, secret: str
) -> None:
    store.settings = replace(store.settings, query_tokens=False)
    assert call(query_string={"private_token": secret}).status_code == 401
    assert call(json={"private_token": secret}).status_code == 200


# --- sudo


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param({"headers": {"Sudo": "ALICE"}}, id="header"),
        pytest.param({"query_string": {"sudo": "alice"}}, id="query"),
        pytest.param({"data": {"sudo": "alice"}}, id="form"),
        pytest.param({"json": {"sudo": "alice"}}, id="JSON"),
        pytest.param({"headers": {"Sudo": "Alice"}, "json": {"sudo": "alice"}}, id="both"),
    ],
)
def test_an_admin_acts_as_a_user_and_both_are_named_and_recorded(
    call: Call, store: Store, root: UserRecord, alice: UserRecord, secret: str, ask: dict[str, Any]
) -> None:
    answer = call(secret, **ask)
    assert answer.status_code == 200
    assert answer.json == {"actor": "root", "subject": "alice"}
    assert answer.headers["Tokensrv-Actor"] == str(root.id)
    assert answer.headers["Tokensrv-Subject"] == str(alice.id)
    (event,) = events(store, "sudo.used")
    assert (event.actor, event.subject) == ("root", "alice")
    assert event.data == {"method": "GET", "path": "/api/v4/users.current_user"}
    assert event.request_id == answer.headers["X-Request-Id"]


def test_by_id_and_with_a_reason(call: Call, store: Store, alice: UserRecord, secret: str) -> None:
    answer = call(secret, json={"sudo": alice.id}, headers={"Sudo-Reason": "ticket 7"})
    assert answer.json == {"actor": "root", "subject": "alice"}
    assert events(store, "sudo.used")[0].reason == "ticket 7"


def test_without_sudo_nobody_is_named(call: Call, secret: str) -> None:
    answer = call(secret)
    assert "Tokensrv-Actor" not in answer.headers
    assert "Tokensrv-Subject" not in answer.headers


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param({"headers": {"Sudo": ""}}, id="empty header"),
        pytest.param({"headers": {"Sudo": "alice,bob"}}, id="two headers, joined"),
        pytest.param({"query_string": "sudo"}, id="empty parameter"),
        pytest.param({"query_string": "sudo=alice&sudo=alice"}, id="twice in the query"),
        pytest.param({"query_string": "sudo=alice", "data": {"sudo": "alice"}}, id="in two places"),
        pytest.param({"query_string": "sudo[]=alice"}, id="an array"),
        pytest.param({"query_string": "sudo=%FF"}, id="undecodable"),
        pytest.param(
            {"data": '{"sudo":"alice","sudo":"alice"}', "content_type": "application/json"},
            id="duplicate JSON key",
        ),
        pytest.param({"json": {"sudo": None}}, id="null"),
        pytest.param({"json": {"sudo": False}}, id="false"),
        pytest.param({"headers": {"Sudo": "alice"}, "json": {"sudo": "bob"}}, id="disagreement"),
    ],
)
def test_a_sudo_that_cannot_be_read_is_never_ignored(
    call: Call, store: Store, alice: UserRecord, secret: str, ask: dict[str, Any]
) -> None:
    answer = call(secret, **ask)
    assert (answer.status_code, answer.json) == (400, {"error": "sudo is invalid"})
    assert "Tokensrv-Actor" not in answer.headers
    assert events(store, "sudo.used") == events(store, "sudo.refused") == []


@pytest.mark.parametrize("presented", [None, UNKNOWN])
def test_sudo_without_a_credential_is_unauthorized(call: Call, presented: str | None) -> None:
    answer = call(presented, headers={"Sudo": ""})
    assert (answer.status_code, answer.json) == (401, {"message": "401 Unauthorized"})


def test_each_refusal_is_answered_and_recorded(
    call: Call, store: Store, root: UserRecord, alice: UserRecord, secret: str
) -> None:
    gone = make_user(store, "gone")
    user_states.block(store, COMMAND_LINE, gone.id)
    plain, other = make_token(store, root).secret, make_token(store, alice).secret
    cases = [
        (other, "root", 403, "admin"),
        (plain, "alice", 403, "scope"),
        (secret, "nobody", 404, "target"),
        (secret, "gone", 403, "target_state"),
        (secret, "root", 403, "target_admin"),
    ]
    for presented, target, status, check in cases:
        answer = call(presented, headers={"Sudo": target})
        assert answer.status_code == status, check
        event = events(store, "sudo.refused")[-1]
        assert (event.data["check"], event.data["target"]) == (check, target)
        assert event.subject == (None if check == "target" else target)
        assert "Tokensrv-Actor" not in answer.headers
    assert events(store, "sudo.used") == []


def test_a_reason_can_be_required(store: Store, call: Call, alice: UserRecord, secret: str) -> None:
    store.settings = replace(store.settings, sudo_reason_required=True)
    answer = call(secret, headers={"Sudo": "alice", "Sudo-Reason": " "})
    assert (answer.status_code, answer.json) == (400, {"error": "sudo_reason is missing"})
    assert call(secret, headers={"Sudo": "alice", "Sudo-Reason": "x"}).status_code == 200


def test_a_refusal_after_a_granted_sudo_names_both(
    call: Call, store: Store, root: UserRecord, alice: UserRecord, secret: str
) -> None:
    answer = call(secret, "tokens.rotate_token", method="POST", headers={"Sudo": "alice"})
    assert (answer.status_code, answer.json) == (403, NOT_UNDER_SUDO)
    assert answer.headers["Tokensrv-Actor"] == str(root.id)
    assert answer.headers["Tokensrv-Subject"] == str(alice.id)
    assert len(events(store, "sudo.used")) == 1


def test_a_token_that_holds_sudo_alone_acts_with_it_and_opens_nothing_without(
    call: Call, store: Store, root: UserRecord, alice: UserRecord
) -> None:
    secret = make_token(store, root, ("sudo",)).secret
    assert call(secret).json["scope"] == "read_user api read_api"
    assert call(secret, "self_token.show").status_code == 200
    answer = call(secret, "tokens.revoke_token", method="DELETE", headers={"Sudo": "alice"})
    assert answer.json == {"actor": "root", "subject": "alice"}


def test_scopes_are_still_asked_for_under_sudo(
    call: Call, store: Store, root: UserRecord, alice: UserRecord
) -> None:
    secret = make_token(store, root, ("read_user", "sudo")).secret
    assert call(secret, headers={"Sudo": "alice"}).status_code == 200
    assert call(secret, "tokens.list_tokens", headers={"Sudo": "alice"}).status_code == 403


def test_nothing_is_answered_when_the_sudo_cannot_be_recorded(
    call: Call, alice: UserRecord, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StorageUnavailable

    monkeypatch.setattr(sudo, "append", away)
    for target in ("alice", "nobody"):
        answer = call(secret, headers={"Sudo": target})
        assert answer.status_code == 503
        assert answer.json == {"message": "503 Service Unavailable"}
        assert answer.headers["Retry-After"] == "1"


def test_a_sudo_that_died_since_the_lookup_is_refused(
    edge: Flask, call: Call, store: Store, alice: UserRecord, secret: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    find = edge.extensions["tokensrv_lookup"].find

    def stale(**asked: Any) -> Any:
        facts = find(**asked)
        user_states.block(store, COMMAND_LINE, alice.id)
        return facts

    monkeypatch.setattr(edge.extensions["tokensrv_lookup"], "find", stale)
    answer = call(secret, headers={"Sudo": "alice"})
    assert answer.status_code == 403
    assert answer.json == {"message": "403 Forbidden - Must not sudo to a user who is not active"}
    assert events(store, "sudo.used") == []
    assert len(events(store, "sudo.refused")) == 1


# --- reuse


def rotated(store: Store, owner: UserRecord) -> tuple[NewToken, NewToken]:
    old = make_token(store, owner, ("api",))
    return old, rotation.rotate(store, COMMAND_LINE, old.record.id)


@pytest.mark.parametrize("endpoint", ["self_token.rotate", "tokens.rotate_token"])
def test_a_revoked_token_that_rotates_takes_its_successors_along(
    call: Call, store: Store, clock: ManualClock, alice: UserRecord, endpoint: str
) -> None:
    old, new = rotated(store, alice)
    clock.advance(seconds=1)
    answer = call(old.secret, endpoint, method="POST")
    assert answer.status_code == 401
    assert answer.json["error_description"].startswith("Token was revoked.")
    assert "revoked" in call(new.secret).json["error_description"]
    assert len(events(store, "token.reused")) == 1


def test_any_other_use_of_a_revoked_token_does_not(
    call: Call, store: Store, alice: UserRecord
) -> None:
    old, new = rotated(store, alice)
    assert call(old.secret, "self_token.revoke", method="DELETE").status_code == 401
    assert call(new.secret).status_code == 200
    assert events(store, "token.reused") == []


# --- use


def test_a_use_is_remembered_and_written_later(
    edge: Flask, call: Call, store: Store, alice: UserRecord
) -> None:
    token = make_token(store, alice, ("read_user",), kind=TokenKind.IMPERSONATION)
    call(token.secret, "tokens.list_tokens")
    assert tokens.get(store, None, token.record.id).last_used_at is None
    edge.extensions["tokensrv_usage"].flush()
    used = tokens.get(store, None, token.record.id)
    assert used.last_used_at is not None
    assert used.last_used_ips == ("127.0.0.1",)


def test_every_endpoint_of_the_table_answers_its_admin(call: Call, secret: str) -> None:
    assert {
        endpoint: call(secret, endpoint).status_code for endpoint in PERMISSIONS
    } == dict.fromkeys(PERMISSIONS, 200)
