"""The four ways to present a token, and what a scope opens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import Api
from tests.factories import make_token
from tokensrv.db import Store
from tokensrv.services.records import UserRecord

WAYS: dict[str, Callable[[str], dict[str, Any]]] = {
    "header": lambda secret: {"headers": {"PRIVATE-TOKEN": secret}},
    "bearer": lambda secret: {"headers": {"Authorization": f"Bearer {secret}"}},
    "bearer-in-any-case": lambda secret: {"headers": {"Authorization": f"bEARER  {secret}"}},
    "private-token-in-query": lambda secret: {"query_string": {"private_token": secret}},
    "access-token-in-query": lambda secret: {"query_string": {"access_token": secret}},
    "private-token-in-form": lambda secret: {"data": {"private_token": secret}},
    "private-token-in-json": lambda secret: {"json": {"private_token": secret}},
    "access-token-in-json": lambda secret: {"json": {"access_token": secret}},
}


@pytest.mark.parametrize("way", WAYS)
def test_opens_the_api(anonymous: Api, user: Api, way: str) -> None:
    answer = anonymous.get("/user", **WAYS[way](user.secret or ""))
    assert (answer.status_code, answer.json["username"]) == (200, "alice")


@pytest.mark.parametrize("way", WAYS)
def test_ends_with_the_token(anonymous: Api, user: Api, way: str) -> None:
    user.delete("/personal_access_tokens/self")
    answer = anonymous.get("/user", **WAYS[way](user.secret or ""))
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_token")
    assert user.secret not in answer.text


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("secret", ["junk", "tsp_" + "0" * 36, "Bearer", "a b"])
def test_is_401_for_what_nobody_knows(anonymous: Api, way: str, secret: str) -> None:
    answer = anonymous.get("/user", **WAYS[way](secret))
    assert (answer.status_code, answer.json) == (401, {"message": "401 Unauthorized"})


def test_in_the_query_can_be_switched_off(user: Api, with_settings: Callable[..., Api]) -> None:
    closed = with_settings(query_tokens=False)
    assert closed.get(f"/user?private_token={user.secret}").status_code == 401
    assert closed.get("/user", json={"private_token": user.secret}).status_code == 200


@pytest.mark.parametrize("scope", ["api", "read_api", "read_user"])
def test_the_scopes_of_readers_open_users(
    anonymous: Api, store: Store, alice: UserRecord, scope: str
) -> None:
    holder = anonymous.holding(make_token(store, alice, (scope,)).secret)
    for path in ("/user", "/users", f"/users/{alice.id}", "/version", "/metadata"):
        assert holder.get(path).status_code == 200


@pytest.mark.parametrize("scope", ["read_repository", "write_registry", "self_rotate", "sudo"])
@pytest.mark.parametrize(
    ("path", "reported"),
    [
        ("/user", "read_user api read_api"),
        ("/version", "read_user api read_api"),
        ("/personal_access_tokens", "api read_api"),
        ("/personal_access_tokens/1", "api read_api"),
    ],
)
def test_other_scopes_do_not(
    anonymous: Api, store: Store, root: UserRecord, scope: str, path: str, reported: str
) -> None:
    answer = anonymous.holding(make_token(store, root, (scope,)).secret).get(path)
    assert (answer.status_code, answer.json["scope"]) == (403, reported)
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("path", ["/personal_access_tokens", "/personal_access_tokens/1"])
def test_read_user_does_not_open_tokens(
    anonymous: Api, store: Store, alice: UserRecord, path: str
) -> None:
    answer = anonymous.holding(make_token(store, alice, ("read_user",)).secret).get(path)
    assert (answer.status_code, answer.json["scope"]) == (403, "api read_api")


@pytest.mark.parametrize("path", ["/version", "/metadata"])
def test_anonymous_callers_do_not_learn_the_version(anonymous: Api, path: str) -> None:
    assert anonymous.get(path).status_code == 401


def test_the_version_is_told(user: Api) -> None:
    shown = user.get("/metadata").json
    assert shown["enterprise"] is False
    assert shown["kas"]["enabled"] is False
    assert user.get("/version").json == {key: shown[key] for key in ("version", "revision")}


def test_answers_are_never_kept_and_set_no_cookie(user: Api) -> None:
    answer = user.get("/user")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "Set-Cookie" not in answer.headers
