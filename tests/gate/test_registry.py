"""`/jwt/auth`: what a container registry is told that somebody may do."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import KeySet
from werkzeug.test import TestResponse

from tests.conftest import START, ManualClock
from tests.factories import make_admin, make_client, make_exchanged, make_token, make_user
from tests.services.conftest import events_of
from tokensrv.app import create_app
from tokensrv.clock import to_ms
from tokensrv.db import Store
from tokensrv.domain.repositories import Access
from tokensrv.gate.denied import text as denied
from tokensrv.models import RepositoryRule
from tokensrv.services.directory import user_states
from tokensrv.services.keys import registry_keys
from tokensrv.services.lifecycle import rotation, tokens
from tokensrv.services.records import EventRecord, NewToken, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

NOW = to_ms(START) // 1000
FORBIDDEN = {"errors": [{"code": "DENIED", "message": "access forbidden"}], "http_status": 403}
EVERYTHING = "repository:team/app:pull,push,delete,*"


def basic(secret: str, username: str = "anything") -> dict[str, str]:
    """Return the header that Docker's clients send."""
    pair = base64.b64encode(f"{username}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


@dataclass(frozen=True)
class World:
    """An admin, a user, and whoever asks for them."""

    store: Store
    http: FlaskClient
    root: UserRecord
    alice: UserRecord

    def ask(
        self,
        headers: Mapping[str, str],
        *scopes: str,
        service: str = "container_registry",
        **more: object,
    ) -> TestResponse:
        """Return the answer to a client that wants this."""
        query = {"service": service, "scope": list(scopes), "account": "anything"}
        return self.http.get("/jwt/auth", headers=headers, query_string=query, **more)

    def claims(self, headers: Mapping[str, str], *scopes: str) -> dict[str, Any]:
        """Return what the registry is told, as it verifies it."""
        answer = self.ask(headers, *scopes)
        assert answer.status_code == 200, answer.text
        assert list(answer.json) == ["token"]
        return self.verified(answer.json["token"])

    def verified(self, signed: str) -> dict[str, Any]:
        """Return the claims of a JWT."""
        keys = KeySet.import_key_set(registry_keys.key_set(self.store))
        token = jwt.decode(signed, keys, algorithms=["RS256"])
        assert token.header["typ"] == "JWT"
        return dict(token.claims)

    def granted(self, headers: Mapping[str, str], *scopes: str) -> list[str]:
        """Return what is granted, in the words in which it is asked for."""
        return [
            f"{access['type']}:{access['name']}:{','.join(access['actions'])}"
            for access in self.claims(headers, *scopes)["access"]
        ]

    def token(self, *scopes: str, **wanted: Any) -> NewToken:
        """Return a new token of alice."""
        return make_token(self.store, self.alice, scopes, **wanted)

    def rule(self, user: UserRecord, prefix: str, access: Access) -> None:
        """Make a rule."""
        with self.store.write() as session:
            session.add(
                RepositoryRule(prefix=prefix, user_id=user.id, access=access, created_at=START)
            )

    def refusals(self) -> list[EventRecord]:
        """Return what stands in the log of who was turned away."""
        return events_of(self.store, "gate.refused")


@pytest.fixture
def world(store: Store, client: FlaskClient) -> World:
    return World(store, client, make_admin(store), make_user(store))


def test_a_registry_is_told_who_asks_and_what_he_may(world: World) -> None:
    claims = world.claims(basic(world.token("api").secret), "repository:team/app:pull,push")
    user = world.verified(claims.pop("user"))
    unique = {claims.pop("jti"), user.pop("jti")}
    assert len(unique) == 2
    moments = {"iat": NOW, "nbf": NOW - 5, "exp": NOW + 60}
    assert claims == moments | {
        "iss": "tokensrv",
        "aud": "container_registry",
        "sub": "alice",
        "auth_type": "personal_access_token",
        "access": [{"type": "repository", "name": "team/app", "actions": ["pull", "push"]}],
    }
    info = {"token_type": "personal_access_token", "username": "alice", "user_id": world.alice.id}
    assert user == moments | {"user_info": info}


def test_the_answer_is_kept_by_nobody(world: World) -> None:
    answer = world.ask(basic(world.token("api").secret))
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.mimetype == "application/json"


ACTIONS = {
    ("api",): "pull,push,delete,*",
    ("read_registry",): "pull",
    ("read_api",): "pull",
    ("write_registry",): "push",
    ("read_registry", "write_registry"): "pull,push",
    ("read_user", "read_registry"): "pull",
}


def test_scopes_decide_which_actions_are_granted(world: World) -> None:
    granted = {
        scopes: world.granted(basic(world.token(*scopes).secret), EVERYTHING) for scopes in ACTIONS
    }
    assert granted == {
        scopes: [f"repository:team/app:{actions}"] for scopes, actions in ACTIONS.items()
    }


def test_what_is_entirely_refused_is_left_out(world: World) -> None:
    bearer = basic(world.token("read_registry").secret)
    assert world.granted(bearer, "repository:a:push repository:b:pull", "nonsense") == [
        "repository:b:pull"
    ]
    (event,) = world.refusals()
    assert event.data == {
        "gate": "registry",
        "check": "wanted",
        "method": "push",
        "path": "a",
        "missing": "write_registry",
    }


def test_a_refused_part_stands_in_the_log_as_well(world: World) -> None:
    token = world.token("read_registry")
    world.ask(basic(token.secret), "repository:a:pull,push")
    (event,) = world.refusals()
    assert (event.actor, event.token_id) == ("alice", token.record.id)
    assert event.data["missing"] == "write_registry"


def test_whoever_logs_in_asks_for_nothing_yet(world: World) -> None:
    assert world.claims(basic(world.token("read_registry").secret))["access"] == []
    assert world.refusals() == []


@pytest.mark.parametrize(
    "scopes",
    [("read_user", "self_rotate"), ("read_repository", "write_repository")],
    ids=lambda scopes: scopes[0],
)
def test_a_token_without_any_ability_is_forbidden(world: World, scopes: tuple[str, ...]) -> None:
    token = world.token(*scopes)
    for wanted in ([], ["repository:a:pull"]):
        answer = world.ask(basic(token.secret), *wanted)
        assert (answer.status_code, answer.json) == (403, FORBIDDEN)
    told = [(event.token_id, event.data["check"], event.data["path"]) for event in world.refusals()]
    assert told == [
        (token.record.id, "wanted", "/jwt/auth"),
        (token.record.id, "wanted", "/jwt/auth repository:a:pull"),
    ]
    assert registry_keys.key_set(world.store) == {"keys": []}


def test_nobody_is_granted_nothing(world: World) -> None:
    for wanted in ([], ["repository:a:pull"]):
        answer = world.ask({}, *wanted)
        assert (answer.status_code, answer.json) == (403, FORBIDDEN)
    assert world.refusals() == []


def block(world: World, _token: NewToken) -> None:
    user_states.block(world.store, COMMAND_LINE, world.alice.id)


def revoke(world: World, token: NewToken) -> None:
    tokens.revoke(world.store, COMMAND_LINE, token.record.id)


def rotate(world: World, token: NewToken) -> None:
    rotation.rotate(world.store, COMMAND_LINE, token.record.id)


def test_a_token_counts_as_long_as_it_is_good(world: World) -> None:
    for end in (revoke, rotate, block):
        token = world.token("api")
        assert world.ask(basic(token.secret)).status_code == 200
        end(world, token)
        answer = world.ask(basic(token.secret), "repository:a:pull")
        assert (answer.status_code, answer.json) == (401, unauthorized(world))
        assert "WWW-Authenticate" not in answer.headers
    assert [event.data["check"] for event in world.refusals()] == ["revoked", "revoked", "owner"]


def test_what_a_registry_is_told_ends_with_the_token_at_the_latest(
    world: World, clock: ManualClock
) -> None:
    token = world.token("api", expires_on=(START + timedelta(days=1)).date())
    midnight = 12 * 3600
    clock.advance(seconds=midnight - 20)
    claims = world.claims(basic(token.secret))
    assert claims["exp"] == NOW + midnight


def test_a_token_expires(world: World, clock: ManualClock) -> None:
    token = world.token("api", expires_on=(START + timedelta(days=1)).date())
    clock.set(START.replace(hour=0) + timedelta(days=1) - timedelta(milliseconds=1))
    assert world.ask(basic(token.secret)).status_code == 200
    clock.advance(seconds=0.001)
    assert world.ask(basic(token.secret)).json == unauthorized(world)
    assert [event.data["check"] for event in world.refusals()] == ["expired"]


def unauthorized(world: World) -> dict[str, Any]:
    return {"errors": [{"code": "UNAUTHORIZED", "message": denied(world.store.settings)}]}


UNKNOWN = [basic("wrong"), basic("tsp_" + "0" * 36), {"PRIVATE-TOKEN": "wrong"}]
UNREADABLE = [
    basic(""),
    basic("tsp_" + "0" * 36, username=""),
    {"Authorization": "Basic"},
    {"Authorization": "Basic !!!"},
    {"Authorization": "Digest a=b"},
    {"Authorization": "Bearer x", "PRIVATE-TOKEN": "y"},
]


@pytest.mark.parametrize(
    ("presented", "check"), [(UNKNOWN, "unknown"), (UNREADABLE, "credentials")]
)
def test_whatever_is_no_token_is_refused(
    world: World, presented: list[dict[str, str]], check: str
) -> None:
    for headers in presented:
        answer = world.ask(headers, "repository:a:pull")
        assert (answer.status_code, answer.json) == (401, unauthorized(world))
    assert [event.data["check"] for event in world.refusals()] == [check]


def test_the_password_of_an_account_is_no_token(world: World) -> None:
    make_user(world.store, "bob", password="a long password of bob")
    answer = world.ask(basic("a long password of bob", username="bob"))
    assert answer.status_code == 401


def test_a_token_comes_as_bearer_or_in_gitlabs_header_too(world: World) -> None:
    secret = world.token("api").secret
    for headers in ({"Authorization": f"Bearer {secret}"}, {"PRIVATE-TOKEN": secret}):
        assert world.claims(headers)["sub"] == "alice"


def test_a_token_in_the_url_does_not_count(world: World) -> None:
    secret = world.token("api").secret
    query = {"service": "container_registry", "private_token": secret, "access_token": secret}
    assert world.http.get("/jwt/auth", query_string=query).status_code == 403


def test_another_service_is_not_known(world: World) -> None:
    headers = basic(world.token("api").secret)
    for services in ([], ["other"], [""], ["container_registry"] * 2):
        answer = world.http.get("/jwt/auth", query_string={"service": services}, headers=headers)
        assert (answer.status_code, answer.data) == (404, b"")


def test_letters_that_nobody_can_read_name_nothing(world: World) -> None:
    headers = basic(world.token("api").secret)
    query = "service=container_registry&scope=repository:\xff:pull&scope=repository:a:pull&\xff"
    # As a server hands it over that lets such bytes through.
    raw = {"QUERY_STRING": query}
    answer = world.http.get("/jwt/auth", headers=headers, environ_overrides=raw)
    names = [access["name"] for access in world.verified(answer.json["token"])["access"]]
    assert (answer.status_code, names) == (200, ["a"])


def test_there_is_nothing_to_post_to(world: World) -> None:
    answer = world.http.post("/jwt/auth", data={"service": "container_registry"})
    assert (answer.status_code, answer.json) == (404, {"error": "404 Not Found"})


def test_a_token_for_a_client_opens_no_registry(world: World) -> None:
    audience = (make_client(world.store).record.client_id,)
    answer = world.ask(basic(world.token("api", audience=audience).secret))
    assert answer.status_code == 401
    assert [event.data["check"] for event in world.refusals()] == ["audience"]


class TestCatalog:
    WANTED = "registry:catalog:*"

    def test_an_admin_sees_the_list_of_all_repositories(self, world: World) -> None:
        secret = make_token(world.store, world.root, ("api",)).secret
        assert world.granted(basic(secret), self.WANTED) == [self.WANTED]

    def test_others_do_not(self, world: World) -> None:
        assert world.granted(basic(world.token("api").secret), self.WANTED) == []
        assert [event.data["check"] for event in world.refusals()] == ["admin"]

    def test_an_admin_needs_all_of_the_api_for_it(self, world: World) -> None:
        secret = make_token(world.store, world.root, ("read_api", "write_registry")).secret
        assert world.granted(basic(secret), self.WANTED) == []


class TestRules:
    def test_one_who_may_read_may_pull(self, world: World) -> None:
        world.rule(world.alice, "team", Access.READ)
        headers = basic(world.token("api").secret)
        assert world.granted(headers, EVERYTHING) == ["repository:team/app:pull"]
        assert [event.data["check"] for event in world.refusals()] == ["rule"]

    def test_one_who_may_write_may_do_what_his_token_says(self, world: World) -> None:
        world.rule(world.alice, "team/app", Access.WRITE)
        assert world.granted(basic(world.token("api").secret), EVERYTHING) == [EVERYTHING]
        headers = basic(world.token("read_registry").secret)
        assert world.granted(headers, EVERYTHING) == ["repository:team/app:pull"]

    def test_what_no_rule_allows_is_left_out(self, world: World) -> None:
        world.rule(world.alice, "team/app", Access.WRITE)
        names = ["team", "team/application", "teamwork/app", "other", "a/team/app", "team/app/x"]
        wanted = [f"repository:{name}:pull" for name in names]
        assert world.granted(basic(world.token("api").secret), *wanted) == wanted[-1:]

    def test_the_end_that_git_knows_is_another_name_in_a_registry(self, world: World) -> None:
        world.rule(world.alice, "team/app", Access.WRITE)
        headers = basic(world.token("api").secret)
        assert world.granted(headers, "repository:team/app.git:pull") == []

    def test_they_are_about_whom_an_admin_acts_as(self, world: World) -> None:
        world.rule(world.alice, "team", Access.READ)
        admin = basic(make_token(world.store, world.root, ("api", "sudo")).secret)
        assert world.granted(admin, EVERYTHING) == []
        sudo = admin | {"Sudo": "alice"}
        assert world.granted(sudo, EVERYTHING) == ["repository:team/app:pull"]


class TestSudo:
    def test_it_acts_as_the_user_and_names_the_admin(self, world: World) -> None:
        token = make_token(world.store, world.root, ("sudo",))
        headers = basic(token.secret) | {"Sudo": "alice", "Sudo-Reason": "to help"}
        answer = world.ask(headers, "repository:a:pull")
        claims = world.verified(answer.json["token"])
        assert claims["sub"] == "alice"
        user = world.verified(claims["user"])["user_info"]
        assert (user["username"], user["user_id"]) == ("alice", world.alice.id)
        assert user["actor"] == {"username": "root", "user_id": world.root.id}
        assert answer.headers["Tokensrv-Actor"] == str(world.root.id)
        assert answer.headers["Tokensrv-Subject"] == str(world.alice.id)
        (event,) = events_of(world.store, "sudo.used")
        assert (event.actor, event.subject, event.reason) == ("root", "alice", "to help")
        assert (event.data["method"], event.data["path"]) == (
            "GET",
            "/jwt/auth repository:a:pull",
        )

    def test_without_the_header_a_token_for_it_alone_opens_nothing(self, world: World) -> None:
        secret = make_token(world.store, world.root, ("sudo",)).secret
        answer = world.ask(basic(secret), "repository:a:pull")
        assert (answer.status_code, answer.json) == (403, FORBIDDEN)

    def test_whatever_refuses_it_is_forbidden(self, world: World) -> None:
        admin = basic(make_token(world.store, world.root, ("api", "sudo")).secret)
        for target in ("", "root", "nobody", "a,b"):
            answer = world.ask(admin | {"Sudo": target}, "repository:a:pull")
            assert (answer.status_code, answer.json) == (403, FORBIDDEN)
        checks = [event.data["check"] for event in events_of(world.store, "sudo.refused")]
        assert checks == ["target_admin", "target"]
        assert [event.data["check"] for event in world.refusals()] == ["sudo"]

    def test_the_parameter_is_not_overlooked(self, world: World) -> None:
        admin = basic(make_token(world.store, world.root, ("api", "sudo")).secret)
        query = "/jwt/auth?service=container_registry&sudo=alice&sudo_reason=to+help"
        answer = world.http.get(query, headers=admin)
        assert world.verified(answer.json["token"])["sub"] == "alice"
        (event,) = events_of(world.store, "sudo.used")
        assert (event.subject, event.reason) == ("alice", "to help")
        for more, headers in (("&sudo=alice", {}), ("", {"Sudo": "root"})):
            answer = world.http.get(query + more, headers=admin | headers)
            assert (answer.status_code, answer.json) == (403, FORBIDDEN)

    def test_a_user_is_refused_it(self, world: World) -> None:
        answer = world.ask(basic(world.token("api").secret) | {"Sudo": "root"})
        assert answer.status_code == 403
        (event,) = events_of(world.store, "sudo.refused")
        assert event.data["check"] == "admin"

    def test_an_exchanged_token_counts_as_under_it(self, world: World) -> None:
        source = make_token(world.store, world.root, ("api", "sudo"))
        exchanged = make_exchanged(world.store, source, world.alice)
        claims = world.claims(basic(exchanged.secret), "registry:catalog:*", "repository:a:pull")
        assert claims["sub"] == "alice"
        assert [access["name"] for access in claims["access"]] == ["a"]
        assert world.verified(claims["user"])["user_info"]["actor"]["username"] == "root"


@contextmanager
def another(world: World, **changed: Any) -> Iterator[World]:
    """Give the same instance as another node, whose settings differ, serves it."""
    app = create_app(replace(world.store.settings, **changed), world.store.clock)
    try:
        yield replace(world, http=app.test_client())
    finally:
        app.extensions["tokensrv_usage"].close()
        app.extensions["tokensrv"].close()


def test_a_node_that_cannot_open_the_key_says_so(world: World) -> None:
    headers = basic(world.token("api").secret)
    assert world.ask(headers).status_code == 200
    with another(world, master_key=("A" * 43 + "=",)) as stranger:
        answer = stranger.ask(headers)
        ready = stranger.http.get("/readyz").json
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert ready["status"] == "degraded"
    assert "another master key" in ready["why"]


def test_what_is_told_lives_as_long_as_the_setting_says(world: World) -> None:
    with another(world, registry_token_seconds=3600) as other:
        claims = other.claims(basic(world.token("api").secret))
    assert claims["exp"] - claims["iat"] == 3600
