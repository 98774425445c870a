"""Hostile input, and storage that is away: the documented error, never a 500, nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.api.conftest import Api
from tests.factories import make_token
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.models import EventHead
from tokensrv.services.records import EventRecord, UserRecord

OWN = "/user/personal_access_tokens"
UNREADABLE = {"error": "message body does not match declared format"}
AWAY = {"message": "503 Service Unavailable"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Nobody waits long here."""
    return replace(settings, storage_timeout_seconds=0.3)


class TestBodies:
    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"{", id="cut"),
            pytest.param(b"[]", id="array"),
            pytest.param(b'"text"', id="text"),
            pytest.param(b"null", id="null"),
            pytest.param(b'{"name": NaN}', id="nan"),
            pytest.param(b'{"name": 1e999}', id="infinity"),
            pytest.param(b'{"name": ' + b"9" * 5000 + b"}", id="giant-number"),
            pytest.param(b'{"a":' * 50_000, id="deep"),
            pytest.param(b'{"name": "\xff"}', id="no-utf-8"),
        ],
    )
    def test_that_are_no_json_object_are_400(self, user: Api, body: bytes) -> None:
        answer = user.post(OWN, data=body, content_type="application/json")
        assert (answer.status_code, answer.json) == (400, UNREADABLE)

    def test_of_an_unknown_type_are_415(self, user: Api) -> None:
        answer = user.post(OWN, data=b"<name/>", content_type="application/xml")
        assert answer.status_code == 415
        assert answer.json.keys() == {"error"}

    def test_that_are_too_large_are_413(self, user: Api) -> None:
        body = b'{"name": "' + b"x" * (11 * 1024 * 1024) + b'"}'
        answer = user.post(OWN, data=body, content_type="application/json")
        assert (answer.status_code, answer.json) == (413, {"message": "413 Payload Too Large"})

    def test_that_are_empty_are_none_whatever_their_type(self, user: Api) -> None:
        answer = user.get("/user", content_type="application/json")
        assert answer.status_code == 200
        answer = user.delete("/personal_access_tokens/self", content_type="application/json")
        assert answer.status_code == 204

    def test_with_a_repeated_parameter_are_400(self, user: Api) -> None:
        body = '{"name": "a", "name": "b", "scopes": ["api"]}'
        answer = user.post(OWN, data=body, content_type="application/json")
        assert (answer.status_code, answer.json) == (400, {"error": "name is invalid"})
        answer = user.post(f"{OWN}?name=a", json={"name": "b", "scopes": ["api"]})
        assert (answer.status_code, answer.json) == (400, {"error": "name is invalid"})

    def test_with_repeated_unknown_parameters_are_taken(self, user: Api) -> None:
        body = '{"x": 1, "x": 2, "name": "a", "scopes": ["api"]}'
        answer = user.post(f"{OWN}?x=3", data=body, content_type="application/json")
        assert answer.status_code == 201


class TestRoutes:
    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
    @pytest.mark.parametrize("path", ["/nothing", "/users/alice", "/users/1/nothing", "/"])
    def test_that_do_not_exist_are_404(self, anonymous: Api, method: str, path: str) -> None:
        answer = anonymous.call(method, path)
        assert (answer.status_code, answer.json) == (404, {"error": "404 Not Found"})

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("POST", "/personal_access_tokens", {"GET", "HEAD"}),
            ("OPTIONS", "/user", {"GET", "HEAD"}),
            ("POST", "/personal_access_tokens/self", {"DELETE", "GET", "HEAD"}),
            ("GET", "/users/1/block", {"POST"}),
            ("TRACE", "/version", {"GET", "HEAD"}),
        ],
    )
    def test_with_another_method_are_405(
        self, anonymous: Api, method: str, path: str, allowed: set[str]
    ) -> None:
        answer = anonymous.call(method, path)
        assert (answer.status_code, answer.json) == (405, {"error": "405 Not Allowed"})
        assert set(answer.headers["Allow"].split(", ")) == allowed


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
NAMES = st.sampled_from(
    [
        "name",
        "scopes",
        "description",
        "expires_at",
        "audience",
        "sort",
        "state",
        "page",
        "search",
        "username",
        "email",
        "password",
        "admin",
        "bio",
        "note",
        "reset_password",
        "token",
        "sudo",
        "sudo_reason",
        "private_token",
        "access_token",
        "order_by",
        "cursor",
        "pagination",
    ]
)
ROUTES = [
    ("POST", OWN),
    ("POST", "/users/2/personal_access_tokens"),
    ("POST", "/users/2/impersonation_tokens"),
    ("PATCH", "/personal_access_tokens/1"),
    ("POST", "/personal_access_tokens/2/rotate"),
    ("GET", "/personal_access_tokens"),
    ("POST", "/users"),
    ("PUT", "/users/2"),
    ("GET", "/users"),
    ("POST", "/admin/token"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.dictionaries(NAMES, ANYTHING, max_size=4))
def test_no_json_is_a_fault_of_ours(
    admin: Api, user: Api, method: str, path: str, body: dict[str, Any]
) -> None:
    assert admin.call(method, path, json=body).status_code < 500


@pytest.mark.parametrize(("method", "path"), ROUTES)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.lists(st.tuples(NAMES, st.binary(max_size=12)), max_size=4))
def test_no_query_is_a_fault_of_ours(
    admin: Api, user: Api, method: str, path: str, fields: list[tuple[str, bytes]]
) -> None:
    query = "&".join(
        name + "=" + "".join(f"%{byte:02x}" for byte in value) for name, value in fields
    )
    assert admin.call(method, path, query_string=query).status_code < 500


class TestStorage:
    def test_that_is_locked_refuses_changes_and_lets_reads_pass(
        self, user: Api, store: Store, alice: UserRecord
    ) -> None:
        token = make_token(store, alice)
        with store.write() as session:
            session.execute(select(EventHead).with_for_update())
            answer = user.delete(f"/personal_access_tokens/{token.record.id}")
            assert (answer.status_code, answer.json) == (503, AWAY)
            assert answer.headers["Retry-After"] == "1"
            assert user.get("/user").status_code == 200
        assert user.holding(token.secret).get("/user").status_code == 200

    def test_that_is_locked_refuses_every_sudo_reads_included(
        self,
        admin: Api,
        alice: UserRecord,
        store: Store,
        events: Callable[[str], list[EventRecord]],
    ) -> None:
        with store.write() as session:
            session.execute(select(EventHead).with_for_update())
            answer = admin.get("/user", headers={"Sudo": "alice"})
            assert (answer.status_code, answer.json) == (503, AWAY)
        assert not events("sudo.used")

    def test_that_is_away_is_503(
        self, user: Api, with_settings: Callable[..., Api], tmp_path: Path
    ) -> None:
        nowhere = f"sqlite:///{tmp_path}/nowhere/tokensrv.sqlite3"
        answer = with_settings(user.secret, database_url=nowhere).get("/user")
        assert (answer.status_code, answer.json) == (503, AWAY)
        assert answer.headers["Retry-After"] == "1"
