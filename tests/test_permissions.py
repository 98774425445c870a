"""Every route asks for what the table says, whoever comes; and no route is left out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from tests.factories import make_admin, make_client, make_token, make_user
from tests.services.conftest import contents
from tests.ssh_keys import make_ssh_key, new_line
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.http.permissions import PERMISSIONS, PUBLIC, Permission
from tokensrv.services import repositories
from tokensrv.services.directory import user_states
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE
from tokensrv.web.access import PAGES

EVERY_GUARDED = pytest.mark.parametrize("endpoint", sorted(PERMISSIONS))
ABOUT_SUDO = sorted(name for name, row in PERMISSIONS.items() if row.asks_about_sudo)
ADMINS_ONLY = sorted(name for name, permission in PERMISSIONS.items() if permission.admin)
# It opens none of the routes that ask for a scope at all.
USELESS_SCOPE = "write_registry"
NEW_TOKEN = {"name": "new", "scopes": ["read_user"]}
NEW_USER = {
    "username": "new",
    "email": "new@example.org",
    "name": "New",
    "password": "correct horse battery",
}


@dataclass(frozen=True)
class World:
    """Somebody of each kind, and something for each route to act on."""

    app: Flask
    store: Store
    http: FlaskClient
    root: UserRecord
    alice: UserRecord
    banned: UserRecord

    def secret(self, user: UserRecord, *scopes: str) -> str:
        """Return the secret of a new token."""
        return make_token(self.store, user, scopes).secret

    def call(
        self, endpoint: str, secret: str | None, *, whose: UserRecord, **headers: str
    ) -> list[TestResponse]:
        """Use every rule of a route with good parameters, about what this user has."""
        requests = self.requests(endpoint, whose)
        return [self.send(request, secret, **headers) for request in requests]

    def send(self, request: dict[str, Any], secret: str | None, **headers: str) -> TestResponse:
        """Send one of ``requests``."""
        sent = headers | ({"PRIVATE-TOKEN": secret} if secret else {})
        return self.http.open(headers=sent, **request)

    def requests(self, endpoint: str, whose: UserRecord) -> list[dict[str, Any]]:
        """Return what to send for every rule of a route."""
        values, body = self._values(endpoint, whose), self._body(endpoint, whose)
        return [
            {"path": _path(rule, values), "method": method, "json": body}
            for rule in self.app.url_map.iter_rules(endpoint)
            for method in sorted(_methods(rule))
        ]

    def _values(self, endpoint: str, whose: UserRecord) -> dict[str, Any]:
        user = self.banned if endpoint == "users.unban" else self.alice
        is_impersonation = endpoint.startswith("impersonation_tokens.")
        kind = TokenKind.IMPERSONATION if is_impersonation else TokenKind.PERSONAL
        owner = self.alice if is_impersonation else whose
        token = make_token(self.store, owner, ("read_user",), kind=kind).record
        client = make_client(self.store).record
        arguments = set().union(*(r.arguments for r in self.app.url_map.iter_rules(endpoint)))
        values = {"user_id": user.id, "token_id": token.id, "client_id": client.client_id}
        if "key_id" in arguments:
            holder = whose if endpoint.endswith("_own") else self.alice
            values["key_id"] = make_ssh_key(self.store, holder).id
        if "rule_id" in arguments:
            rule = {"prefix": "a", "user_id": self.alice.id, "access": "read"}
            values["rule_id"] = repositories.add(self.store, COMMAND_LINE, **rule).id
        return {name: value for name, value in values.items() if name in arguments}

    def _body(self, endpoint: str, whose: UserRecord) -> dict[str, Any] | None:
        return {
            "tokens.change_token": {"name": "new"},
            "user_tokens.create_for_user": NEW_TOKEN,
            "user_tokens.create_for_self": NEW_TOKEN,
            "impersonation_tokens.create": NEW_TOKEN,
            "admin_token.identify": {"token": self.secret(whose, "read_user")},
            "admin_token.revoke": {"token": self.secret(whose, "read_user")},
            "explanation.explain": {"token": self.secret(whose, "read_user")},
            "clients.create_client": {"name": "new"},
            "clients.change_client": {"name": "new"},
            "clients.update_client": {"name": "new"},
            "ssh_keys.add_own": {"key": new_line()},
            "ssh_keys.add_for_user": {"key": new_line()},
            "users.create_user": NEW_USER,
            "users.change_user": {"name": "New"},
            "repository_rules.add_rule": {"prefix": "a", "user": "alice", "access": "read"},
        }.get(endpoint)


@pytest.fixture
def world(app: Flask, store: Store, client: FlaskClient) -> World:
    root, alice, banned = make_admin(store), make_user(store), make_user(store, "banned")
    user_states.ban(store, COMMAND_LINE, banned.id)
    return World(app, store, client, root, alice, banned)


def _methods(rule: Rule) -> set[str]:
    return (rule.methods or set()) - {"HEAD", "OPTIONS"}


def _path(rule: Rule, values: dict[str, Any]) -> str:
    built = rule.build(values)
    assert built is not None
    return built[1]


def _needed(permission: Permission) -> tuple[str, ...]:
    return (permission.needs or USELESS_SCOPE,)


def test_every_route_has_a_permission_is_public_or_a_page_and_every_entry_is_a_route(
    app: Flask,
) -> None:
    routes = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert routes == PERMISSIONS.keys() | PUBLIC | PAGES.keys()


def test_nothing_under_the_api_is_public(app: Flask) -> None:
    rules = [str(rule) for rule in app.url_map.iter_rules() if rule.endpoint in PUBLIC]
    assert [rule for rule in rules if rule.startswith("/api/")] == []


def test_a_route_that_somebody_forgot_to_list_is_closed_to_everybody(world: World) -> None:
    world.app.add_url_rule("/api/v4/forgotten", "forgotten", lambda: "let in")
    secret = world.secret(world.root, "api", "sudo", "introspect")
    for sent in ({}, {"PRIVATE-TOKEN": secret}):
        answer = world.http.get("/api/v4/forgotten", headers=sent)
        assert answer.status_code == 403
        assert "let in" not in answer.text


@EVERY_GUARDED
def test_anonymous_callers_are_turned_away(world: World, endpoint: str) -> None:
    expected = 403 if PERMISSIONS[endpoint].hides_from_anonymous else 401
    _assert_refused(world, endpoint, None, expected)


@EVERY_GUARDED
def test_a_dead_credential_is_no_credential(world: World, endpoint: str) -> None:
    secret = world.secret(world.banned, "api")
    answers = world.call(endpoint, secret, whose=world.alice)
    assert {answer.status_code for answer in answers} <= {401, 403}
    assert world.call(endpoint, "tsp_" + "0" * 36, whose=world.alice)[0].status_code == 401


@pytest.mark.parametrize("endpoint", ADMINS_ONLY)
def test_a_user_is_turned_away_where_admins_alone_may_go(world: World, endpoint: str) -> None:
    answers = _assert_refused(world, endpoint, world.secret(world.alice, "api"), 403)
    assert {answer.get_json()["message"] for answer in answers} == {"403 Forbidden"}


@pytest.mark.parametrize("endpoint", sorted(PERMISSIONS.keys() - set(ADMINS_ONLY)))
def test_a_user_may_go_everywhere_else(world: World, endpoint: str) -> None:
    needed = _needed(PERMISSIONS[endpoint])
    answers = world.call(endpoint, world.secret(world.alice, *needed), whose=world.alice)
    assert all(answer.status_code in {200, 201, 204} for answer in answers), answers[0].text


@EVERY_GUARDED
def test_an_admin_without_the_scope_is_turned_away_where_one_is_asked_for(
    world: World, endpoint: str
) -> None:
    secret = world.secret(world.root, USELESS_SCOPE, "sudo", "introspect")
    if PERMISSIONS[endpoint].needs is None:
        for answer in world.call(endpoint, secret, whose=world.root):
            assert answer.status_code in {200, 204}
        return
    for answer in _assert_refused(world, endpoint, secret, 403):
        assert answer.get_json()["error"] == "insufficient_scope"
        assert "insufficient_scope" in answer.headers["WWW-Authenticate"]


@EVERY_GUARDED
def test_an_admin_with_just_the_scope_is_let_in(world: World, endpoint: str) -> None:
    secret = world.secret(world.root, *_needed(PERMISSIONS[endpoint]))
    # What is one's own nobody else has, an admin neither.
    whose = world.root if endpoint.endswith("_own") else world.alice
    for answer in world.call(endpoint, secret, whose=whose):
        assert answer.status_code in {200, 201, 204}, answer.text
        assert "Tokensrv-Actor" not in answer.headers


@pytest.mark.parametrize("endpoint", ABOUT_SUDO)
def test_where_sudo_is_the_question_the_header_is_refused(world: World, endpoint: str) -> None:
    secret = world.secret(world.root, "api", "sudo")
    for answer in world.call(endpoint, secret, whose=world.alice, Sudo="alice"):
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")
        assert "Tokensrv-Actor" not in answer.headers


@pytest.mark.parametrize("endpoint", sorted(PERMISSIONS.keys() - set(ABOUT_SUDO)))
def test_under_sudo_an_admin_may_do_what_the_table_allows_and_the_subject_may(
    world: World, endpoint: str
) -> None:
    permission = PERMISSIONS[endpoint]
    secret = world.secret(world.root, "api", "sudo")
    is_allowed = permission.under_sudo and permission.admin is None
    for answer in world.call(endpoint, secret, whose=world.alice, Sudo="alice"):
        assert (answer.status_code in {200, 201, 204}) is is_allowed, answer.text
        assert answer.headers["Tokensrv-Actor"] == str(world.root.id)
        assert answer.headers["Tokensrv-Subject"] == str(world.alice.id)


@EVERY_GUARDED
def test_a_token_for_other_services_opens_only_what_is_about_itself(
    world: World, endpoint: str
) -> None:
    client_id = make_client(world.store).record.client_id
    token = make_token(world.store, world.root, ("api",), audience=(client_id,))
    answers = world.call(endpoint, token.secret, whose=world.alice)
    is_let_in = [answer.status_code in {200, 201, 204} for answer in answers]
    assert is_let_in == [PERMISSIONS[endpoint].is_self] * len(answers)


def _assert_refused(
    world: World, endpoint: str, secret: str | None, status: int
) -> list[TestResponse]:
    """Return the answers; nothing was changed by any of them."""
    requests = world.requests(endpoint, world.alice)
    before = contents(world.store)
    answers = [world.send(request, secret) for request in requests]
    assert [answer.status_code for answer in answers] == [status] * len(answers)
    assert contents(world.store) == before
    return answers
