"""The front door of the API: an admin, a user, their tokens, and a way to call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import ManualClock
from tests.factories import make_admin, make_token, make_user
from tokensrv.app import create_app
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.services.records import EventRecord, UserRecord
from tokensrv.services.reports.event_lists import EventFilter, list_events


@dataclass(frozen=True)
class Api:
    """Calls the API; ``secret`` goes into the header that most clients use."""

    client: FlaskClient
    secret: str | None = None

    def call(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **options: Any
    ) -> TestResponse:
        sent = dict(headers or {}) | ({"PRIVATE-TOKEN": self.secret} if self.secret else {})
        return self.client.open(f"/api/v4{path}", method=method, headers=sent, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.call("GET", path, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        return self.call("POST", path, **options)

    def put(self, path: str, **options: Any) -> TestResponse:
        return self.call("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> TestResponse:
        return self.call("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self.call("DELETE", path, **options)

    def holding(self, secret: str | None) -> Api:
        """Return the same door with another token, or none."""
        return replace(self, secret=secret)


@pytest.fixture
def root(store: Store) -> UserRecord:
    return make_admin(store)


@pytest.fixture
def alice(store: Store, root: UserRecord) -> UserRecord:
    return make_user(store)


@pytest.fixture
def bob(store: Store, alice: UserRecord) -> UserRecord:
    return make_user(store, "bob")


@pytest.fixture
def anonymous(client: FlaskClient) -> Api:
    return Api(client)


@pytest.fixture
def admin(anonymous: Api, store: Store, root: UserRecord) -> Api:
    """The admin with a token that may do everything, acting as others included."""
    return anonymous.holding(make_token(store, root, ("api", "sudo")).secret)


@pytest.fixture
def user(anonymous: Api, store: Store, alice: UserRecord) -> Api:
    """alice with an ordinary token."""
    return anonymous.holding(make_token(store, alice).secret)


@pytest.fixture
def with_settings(settings: Settings, clock: ManualClock) -> Iterator[Callable[..., Api]]:
    """A second application on the same database, with some settings changed."""
    with ExitStack() as stack:

        def build(secret: str | None = None, **changed: Any) -> Api:
            app: Flask = create_app(replace(settings, **changed), clock)
            stack.callback(app.extensions["tokensrv"].close)
            stack.callback(app.extensions["tokensrv_usage"].close)
            return Api(app.test_client(), secret)

        yield build


@pytest.fixture
def events(store: Store) -> Callable[[str], list[EventRecord]]:
    """Return the events of one action, oldest first."""
    return lambda action: list_events(store, EventFilter(action=action))


def ids(answer: TestResponse) -> list[int]:
    """Return the ids of a list that was answered with 200."""
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json]
