"""An instance with people, and an internal service that asks about their tokens over HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import ManualClock
from tests.factories import make_admin, make_client, make_token, make_user
from tokensrv.db import Store
from tokensrv.services.directory.client_values import ALLOWABLE
from tokensrv.services.records import EventRecord, NewClient, NewToken, UserRecord
from tokensrv.services.reports.event_lists import EventFilter, list_events
from tokensrv.services.trail.usage import Usage

Form = Mapping[str, Any] | str


def basic(client_id: str | bytes, secret: str | bytes) -> str:
    """Return an Authorization header with these very bytes."""
    pair = [part if isinstance(part, bytes) else part.encode() for part in (client_id, secret)]
    return "Basic " + base64.b64encode(b":".join(pair)).decode()


@dataclass(frozen=True)
class Service:
    """An internal service with its credentials."""

    http: FlaskClient
    client_id: str
    secret: str

    def post(
        self, path: str, form: Form, headers: Mapping[str, str] | None = None, **options: Any
    ) -> TestResponse:
        """Return the answer to a form, sent with Basic unless the headers say otherwise."""
        sent = {"Authorization": basic(self.client_id, self.secret)} | dict(headers or {})
        return self.http.post(path, data=form, headers=sent, **options)

    def introspect(
        self, token: str, headers: Mapping[str, str] | None = None, **parameters: Any
    ) -> TestResponse:
        """Return the answer about a token."""
        return self.post("/oauth/introspect", {"token": token} | parameters, headers)

    def told(
        self, token: str, headers: Mapping[str, str] | None = None, **parameters: Any
    ) -> dict[str, Any]:
        """Return what the answer about a token says."""
        answer = self.introspect(token, headers, **parameters)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.get_json()
        return document

    def ask_many(
        self,
        tokens: Sequence[object],
        headers: Mapping[str, str] | None = None,
        *,
        path: str = "/oauth/introspect/batch",
        **members: Any,
    ) -> TestResponse:
        """Return the answer about many tokens."""
        body = json.dumps({"tokens": list(tokens)} | members)
        return self.post(path, body, headers, content_type="application/json")

    def revoke(self, token: str, headers: Mapping[str, str] | None = None) -> TestResponse:
        """Return the answer to a revocation."""
        return self.post("/oauth/revoke", {"token": token}, headers)


@dataclass(frozen=True)
class World:
    """Two admins, two users, an admin's token with sudo, a user's token, a service."""

    store: Store
    usage: Usage
    clock: ManualClock
    http: FlaskClient
    root: UserRecord
    other_admin: UserRecord
    alice: UserRecord
    bob: UserRecord
    admin_token: NewToken
    alice_token: NewToken
    service: Service

    def token(self, user: UserRecord, *scopes: str, **wanted: Any) -> NewToken:
        """Return a new token of a user."""
        return make_token(self.store, user, scopes, **wanted)

    def service_with(self, **wanted: Any) -> Service:
        """Return another service."""
        return as_service(self.http, make_client(self.store, **wanted))

    def events(self, action: str) -> list[EventRecord]:
        """Return the events of one action, the oldest first."""
        return list_events(self.store, EventFilter(action=action, since=0, limit=1000))


def as_service(http: FlaskClient, client: NewClient) -> Service:
    """Return the service that has these credentials."""
    return Service(http, client.record.client_id, client.secret)


@pytest.fixture
def world(store: Store, client: FlaskClient, clock: ManualClock) -> World:
    root, other_admin = make_admin(store), make_admin(store, "other-admin")
    alice, bob = make_user(store, "alice"), make_user(store, "bob")
    # The first request of a process also looks at the schema.
    assert client.get("/.well-known/tokensrv-secrets").status_code == 200
    return World(
        store=store,
        usage=client.application.extensions["tokensrv_usage"],
        clock=clock,
        http=client,
        root=root,
        other_admin=other_admin,
        alice=alice,
        bob=bob,
        admin_token=make_token(store, root, ("api", "sudo")),
        alice_token=make_token(store, alice, ("read_api", "self_rotate")),
        service=as_service(client, make_client(store, allow=ALLOWABLE)),
    )


@pytest.fixture
def service(world: World) -> Service:
    return world.service
