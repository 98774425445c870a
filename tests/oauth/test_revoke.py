"""RFC 7009: who may end which token, and that nobody learns which tokens exist."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
from werkzeug.test import TestResponse

from tests.oauth.conftest import World, basic
from tokensrv.domain import secret
from tokensrv.domain.facts import TokenKind
from tokensrv.errors import StorageUnavailable
from tokensrv.services.directory import user_states, users
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import NewToken
from tokensrv.services.trail.events import COMMAND_LINE

PATH = "/oauth/revoke"


def bearer(token: NewToken) -> dict[str, str]:
    return {"Authorization": f"Bearer {token.secret}"}


def is_active(world: World, token: NewToken) -> bool:
    return bool(world.service.told(token.secret)["active"])


def assert_done(answer: TestResponse) -> None:
    assert (answer.status_code, answer.get_json()) == (200, {})
    assert answer.headers["Cache-Control"] == "no-store"


def assert_invalid(answer: TestResponse) -> None:
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


@pytest.mark.rfc7009("2.1")
@pytest.mark.parametrize("in_body", [False, True], ids=["Basic", "body"])
def test_a_client_that_may_revoke_ends_any_token(world: World, *, in_body: bool) -> None:
    if in_body:
        form = {"client_id": world.service.client_id, "client_secret": world.service.secret}
        form["token"] = world.alice_token.secret
        assert_done(world.http.post(PATH, data=form))
    else:
        assert_done(world.service.revoke(world.alice_token.secret))
    assert not is_active(world, world.alice_token)
    [event] = world.events("token.revoked")
    assert (event.token_id, event.client_id) == (
        world.alice_token.record.id,
        world.service.client_id,
    )
    assert (event.actor, event.subject, event.ip) == (None, None, "127.0.0.1")
    assert event.data == {"user_id": world.alice.id}


@pytest.mark.rfc7009("2.1")
@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense"])
def test_no_hint_saves_a_token(world: World, hint: str) -> None:
    form = {"token": world.alice_token.secret, "token_type_hint": hint}
    assert_done(world.service.post(PATH, form))
    assert not is_active(world, world.alice_token)


@pytest.mark.rfc7009("2.2")
def test_revoking_again_succeeds_and_is_one_event(world: World) -> None:
    for _ in range(3):
        assert_done(world.service.revoke(world.alice_token.secret))
    assert len(world.events("token.revoked")) == 1


@pytest.mark.rfc7009("2.2")
@pytest.mark.parametrize(
    "token",
    [secret.mint("ts", secret.Kind.PERSONAL), "nonsense", "ä", "tsp_" + "a" * 60_000],
    ids=["unknown", "malformed", "not ASCII", "over-long"],
)
@pytest.mark.parametrize("who", ["client", "user"])
def test_a_token_that_nobody_knows_is_as_good_as_revoked(
    world: World, token: str, who: str
) -> None:
    own = world.token(world.alice, "api")
    assert_done(world.service.revoke(token, bearer(own) if who == "user" else None))
    assert is_active(world, own)
    assert world.events("token.revoked") == []


def test_a_client_that_may_not_revoke_is_answered_alike_and_nothing_happens(world: World) -> None:
    plain = world.service_with(name="plain", allow=("sudo", "batch", "exchange"))
    assert_done(plain.revoke(world.alice_token.secret))
    assert is_active(world, world.alice_token)
    assert world.events("token.revoked") == []


@pytest.mark.parametrize("scope", ["api", "read_user", "self_rotate", "read_registry"])
@pytest.mark.parametrize("expires_on", [None, date(2026, 3, 11)])
def test_every_token_may_end_itself(world: World, scope: str, expires_on: date | None) -> None:
    token = world.token(world.alice, scope, expires_on=expires_on)
    assert_done(world.service.revoke(token.secret, bearer(token)))
    assert not is_active(world, token)
    [event] = world.events("token.revoked")
    assert (event.actor, event.subject, event.client_id) == ("alice", "alice", None)


def test_a_token_meant_for_other_services_may_end_itself_and_no_other(world: World) -> None:
    token = world.token(world.alice, "api", audience=(world.service.client_id,))
    answer = world.service.revoke(world.alice_token.secret, bearer(token))
    assert (answer.status_code, answer.get_json()["error"]) == (403, "insufficient_scope")
    assert is_active(world, world.alice_token)
    assert_done(world.service.revoke(token.secret, bearer(token)))
    assert not is_active(world, token)


def test_an_owner_may_end_his_other_tokens(world: World) -> None:
    own = world.token(world.alice, "api")
    assert_done(world.service.revoke(world.alice_token.secret, bearer(own)))
    assert not is_active(world, world.alice_token)
    assert is_active(world, own)


def test_an_admin_may_end_any_token(world: World) -> None:
    hidden = world.token(world.alice, "api", kind=TokenKind.IMPERSONATION)
    for token in (world.alice_token, hidden):
        assert_done(world.service.revoke(token.secret, bearer(world.admin_token)))
        assert not is_active(world, token)
    assert [event.actor for event in world.events("token.revoked")] == ["root", "root"]


@pytest.mark.parametrize("owner", ["bob", "other_admin"])
def test_somebody_elses_token_is_answered_like_one_that_nobody_knows(
    world: World, owner: str
) -> None:
    own, foreign = world.token(world.alice, "api"), world.token(getattr(world, owner), "api")
    assert_done(world.service.revoke(foreign.secret, bearer(own)))
    assert is_active(world, foreign)


@pytest.mark.parametrize("exists", [True, False])
def test_trouble_with_storage_does_not_tell_whether_somebody_elses_token_exists(
    world: World, monkeypatch: pytest.MonkeyPatch, *, exists: bool
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StorageUnavailable

    own, foreign = world.token(world.alice, "api"), world.token(world.bob, "api").secret
    monkeypatch.setattr(world.store, "write", away)
    foreign = foreign if exists else secret.mint("ts", secret.Kind.PERSONAL)
    assert_done(world.service.revoke(foreign, bearer(own)))


def test_an_owner_does_not_meet_impersonation_tokens_on_himself(world: World) -> None:
    own = world.token(world.alice, "api")
    hidden = world.token(world.alice, "api", kind=TokenKind.IMPERSONATION)
    assert_done(world.service.revoke(hidden.secret, bearer(own)))
    assert is_active(world, hidden)


@pytest.mark.parametrize("exists", [True, False])
def test_a_narrow_token_is_refused_whether_the_other_one_exists_or_not(
    world: World, *, exists: bool
) -> None:
    other = world.token(world.alice, "api").secret
    other = other if exists else secret.mint("ts", secret.Kind.PERSONAL)
    answer = world.service.revoke(other, bearer(world.alice_token))
    assert (answer.status_code, answer.get_json()["scope"]) == (403, "api")
    assert "insufficient_scope" in answer.headers["WWW-Authenticate"]
    assert world.events("token.revoked") == []


@pytest.mark.parametrize("owner", ["alice", "root"])
def test_an_impersonation_token_cannot_end_itself(world: World, owner: str) -> None:
    token = world.token(getattr(world, owner), "api", kind=TokenKind.IMPERSONATION)
    assert_invalid(world.service.revoke(token.secret, bearer(token)))
    assert is_active(world, token)


def test_a_client_may_end_an_impersonation_token(world: World) -> None:
    token = world.token(world.alice, "api", kind=TokenKind.IMPERSONATION)
    assert_done(world.service.revoke(token.secret))
    assert not is_active(world, token)


def test_revoking_is_a_use_of_the_token_presented(world: World) -> None:
    own = world.token(world.alice, "api")
    world.service.revoke(world.alice_token.secret, bearer(own))
    world.usage.flush()
    used = tokens.get(world.store, None, own.record.id)
    assert used.last_used_ips == ("127.0.0.1",)


def revoked(world: World, token: NewToken) -> None:
    tokens.revoke(world.store, COMMAND_LINE, token.record.id)


def expired(world: World, token: NewToken) -> None:
    world.clock.set(datetime(2026, 3, 11, tzinfo=UTC))


def owner_blocked(world: World, token: NewToken) -> None:
    user_states.block(world.store, COMMAND_LINE, world.alice.id)


def owner_deleted(world: World, token: NewToken) -> None:
    users.delete(world.store, COMMAND_LINE, world.alice.id)


@pytest.mark.rfc6750("3.1")
@pytest.mark.parametrize("end", [revoked, expired, owner_blocked, owner_deleted])
def test_a_dead_token_ends_nothing(world: World, end: Callable[[World, NewToken], None]) -> None:
    own = world.token(world.alice, "api", expires_on=date(2026, 3, 11))
    end(world, own)
    revocations = len(world.events("token.revoked"))
    for token in (own.secret, world.admin_token.secret, "nonsense"):
        answer = world.service.revoke(token, bearer(own))
        assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_token")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer realm=")
    assert len(world.events("token.revoked")) == revocations


@pytest.mark.parametrize("value", ["", "nonsense", "\xff", "a b", "tsp_" + "a" * 9000])
def test_a_bearer_that_is_no_token_is_refused(world: World, value: str) -> None:
    headers = {"Authorization": f"Bearer {value}"}
    answer = world.service.revoke(world.alice_token.secret, headers)
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_token")
    assert is_active(world, world.alice_token)


def test_a_clients_secret_is_no_bearer_and_a_token_is_no_clients_secret(world: World) -> None:
    token = world.alice_token.secret
    as_bearer = {"Authorization": f"Bearer {world.service.secret}"}
    as_client = {"Authorization": basic(world.service.client_id, token)}
    for headers in (as_bearer, as_client):
        assert world.service.revoke(token, headers).status_code == 401
    assert is_active(world, world.alice_token)


@pytest.mark.rfc6749("2.3")
def test_a_bearer_and_a_clients_secret_at_once_are_invalid(world: World) -> None:
    form = {"token": world.alice_token.secret, "client_id": world.service.client_id}
    form["client_secret"] = world.service.secret
    assert_invalid(world.service.post(PATH, form, bearer(world.alice_token)))
    assert is_active(world, world.alice_token)


@pytest.mark.rfc7009("2.2.1")
@pytest.mark.parametrize("who", ["client", "user"])
@pytest.mark.parametrize("form", [{}, {"token": ""}, {"token": ["a", "b"]}])
def test_a_request_without_one_token_is_invalid(
    world: World, who: str, form: dict[str, object]
) -> None:
    headers = bearer(world.alice_token) if who == "user" else None
    assert_invalid(world.service.post(PATH, form, headers))
    assert is_active(world, world.alice_token)


@pytest.mark.parametrize("who", ["client", "user"])
@pytest.mark.parametrize("value", ["alice", "", "a,b"])
@pytest.mark.parametrize("place", ["header", "parameter"])
def test_nobody_revokes_as_somebody_else(world: World, who: str, value: str, place: str) -> None:
    headers = bearer(world.admin_token) if who == "user" else {}
    form = {"token": world.alice_token.secret}
    (headers if place == "header" else form)["Sudo" if place == "header" else "sudo"] = value
    assert_invalid(world.service.post(PATH, form, headers))
    assert is_active(world, world.alice_token)


@pytest.mark.rfc7009("2.2.1")
@pytest.mark.parametrize("who", ["client", "user"])
def test_without_storage_the_token_is_not_said_to_be_revoked(
    world: World, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StorageUnavailable

    own = world.token(world.alice, "api")
    with monkeypatch.context() as patch:
        patch.setattr(world.store, "write", away)
        headers = bearer(own) if who == "user" else None
        answer = world.service.revoke(world.alice_token.secret, headers)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.get_json() == {"error": "temporarily_unavailable"}
    assert is_active(world, world.alice_token)
