"""Users: what admins make of others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.http import http_date

from tests.api.conftest import Api
from tests.api.test_user_forms import BASIC
from tests.conftest import START, ManualClock
from tests.factories import make_token, make_user
from tokensrv.db import Store
from tokensrv.services.records import EventRecord, UserRecord

NEW = {"email": "carol@example.org", "name": "Carol", "username": "carol"}
FORBIDDEN = {"message": "403 Forbidden"}
NOBODY = {"message": "404 User Not Found"}


class TestCreate:
    def test_makes_a_user(
        self,
        admin: Api,
        root: UserRecord,
        events: Callable[[str], list[EventRecord]],
    ) -> None:
        more = {"password": "correct horse", "bio": "b", "location": "here", "external": "true"}
        answer = admin.post("/users", json=NEW | more | {"admin": True, "junk": 1})
        assert answer.status_code == 201, answer.text
        shown = answer.json
        assert {key: shown[key] for key in NEW} == NEW
        assert (shown["bio"], shown["location"], shown["external"]) == ("b", "here", True)
        assert (shown["is_admin"], shown["created_by"]["id"]) == (True, root.id)
        assert shown["created_by"].keys() == BASIC
        assert [event.actor for event in events("user.created")][-1] == "root"
        assert "correct horse" not in answer.text

    @pytest.mark.parametrize("way", ["reset_password", "force_random_password"])
    def test_makes_one_without_a_password(self, admin: Api, way: str) -> None:
        assert admin.post("/users", data=NEW | {way: "true"}).status_code == 201

    @pytest.mark.parametrize(
        ("wanted", "status", "body"),
        [
            pytest.param(
                {},
                400,
                {
                    "error": "email is missing, name is missing, username is missing, password,"
                    " reset_password, force_random_password are missing, at least one parameter"
                    " must be provided"
                },
                id="nothing",
            ),
            pytest.param(
                NEW,
                400,
                {
                    "error": "password, reset_password, force_random_password are missing, at"
                    " least one parameter must be provided"
                },
                id="no-way-to-a-password",
            ),
            pytest.param(
                NEW | {"reset_password": False},
                400,
                {"message": {"password": ["can't be blank"]}},
                id="no-password",
            ),
            pytest.param(
                NEW | {"password": "short"},
                400,
                {"message": {"password": ["is too short (minimum is 8 characters)"]}},
                id="short-password",
            ),
            pytest.param(
                NEW | {"password": "x" * 8, "username": "a,b"},
                400,
                {"message": {"username": ["is invalid"]}},
                id="username-with-comma",
            ),
            pytest.param(
                NEW | {"password": "x" * 8, "username": "123"},
                400,
                {"message": {"username": ["is invalid"]}},
                id="username-of-digits",
            ),
            pytest.param(
                NEW | {"password": "x" * 8, "email": "junk"},
                400,
                {"message": {"email": ["is invalid"]}},
                id="bad-email",
            ),
            pytest.param(
                NEW | {"password": "x" * 8, "name": " "},
                400,
                {"message": {"name": ["can't be blank"]}},
                id="blank-name",
            ),
            pytest.param(
                NEW | {"password": "x" * 8, "admin": "junk", "username": 5},
                400,
                {"error": "username is invalid, admin is invalid"},
                id="types",
            ),
        ],
    )
    def test_names_what_is_wrong_and_makes_nobody(
        self, admin: Api, wanted: dict[str, Any], status: int, body: dict[str, Any]
    ) -> None:
        answer = admin.post("/users", json=wanted)
        assert (answer.status_code, answer.json) == (status, body)
        assert admin.get("/users").headers["X-Total"] == "1"

    @pytest.mark.parametrize(
        ("changed", "text"),
        [
            ({"email": "ALICE@example.org"}, "Email has already been taken"),
            ({"username": "Alice"}, "Username has already been taken"),
        ],
    )
    def test_is_409_for_what_is_taken_in_any_case(
        self, admin: Api, alice: UserRecord, changed: dict[str, str], text: str
    ) -> None:
        answer = admin.post("/users", json=NEW | {"reset_password": True} | changed)
        assert (answer.status_code, answer.json) == (409, {"message": text})

    def test_looks_at_parameters_before_the_role(self, user: Api) -> None:
        assert user.post("/users", json={}).status_code == 400
        answer = user.post("/users", json=NEW | {"reset_password": True})
        assert (answer.status_code, answer.json) == (403, FORBIDDEN)

    def test_is_401_before_anything(self, anonymous: Api) -> None:
        assert anonymous.post("/users", json={}).status_code == 401


class TestChange:
    def test_changes_what_is_named(
        self, admin: Api, alice: UserRecord, events: Callable[[str], list[EventRecord]]
    ) -> None:
        wanted = {"name": "New", "username": "alicia", "note": "n", "private_profile": True}
        answer = admin.put(f"/users/{alice.id}", json=wanted)
        assert answer.status_code == 200
        assert {key: answer.json[key] for key in wanted} == wanted
        assert answer.json["email"] == "alice@example.org"
        assert events("user.changed")[-1].data["changed"] == wanted

    def test_null_empties_a_text(self, admin: Api, alice: UserRecord) -> None:
        path = f"/users/{alice.id}"
        admin.put(path, json={"bio": "b", "location": "l"})
        shown = admin.put(path, json={"bio": None, "location": None}).json
        assert (shown["bio"], shown["location"]) == ("", None)

    def test_promotes_and_demotes_at_once(self, admin: Api, user: Api, alice: UserRecord) -> None:
        path = f"/users/{alice.id}"
        assert admin.put(path, json={"admin": "true"}).json["is_admin"] is True
        assert user.get("/user").json["is_admin"] is True
        assert admin.put(path, data={"admin": "false"}).json["is_admin"] is False
        assert "is_admin" not in user.get("/user").json

    def test_sets_a_password(
        self, admin: Api, alice: UserRecord, events: Callable[[str], list[EventRecord]]
    ) -> None:
        answer = admin.put(f"/users/{alice.id}", json={"password": "correct horse"})
        assert answer.status_code == 200
        [event] = events("user.password_set")
        assert "correct horse" not in str(event)

    @pytest.mark.parametrize(
        ("wanted", "status", "body"),
        [
            ({"username": "root"}, 409, {"message": "Username has already been taken"}),
            ({"email": "root@example.org"}, 409, {"message": "Email has already been taken"}),
            ({"username": ""}, 400, {"message": {"username": ["is invalid"]}}),
            ({"email": ""}, 400, {"message": {"email": ["can't be blank"]}}),
            ({"name": None}, 400, {"error": "name is invalid"}),
            ({"external": "maybe"}, 400, {"error": "external is invalid"}),
            (
                {"bio": "x" * 2001},
                400,
                {"message": {"bio": ["is too long (maximum is 2000 characters)"]}},
            ),
        ],
    )
    def test_refuses_what_is_wrong_and_changes_nothing(
        self,
        admin: Api,
        alice: UserRecord,
        wanted: dict[str, Any],
        status: int,
        body: dict[str, Any],
    ) -> None:
        before = admin.get(f"/users/{alice.id}").json
        answer = admin.put(f"/users/{alice.id}", json=wanted)
        assert (answer.status_code, answer.json) == (status, body)
        assert admin.get(f"/users/{alice.id}").json == before

    def test_is_404_for_nobody(self, admin: Api) -> None:
        answer = admin.put("/users/999", json={"name": "New"})
        assert (answer.status_code, answer.json) == (404, NOBODY)

    def test_is_403_for_a_user_also_for_himself(self, user: Api, alice: UserRecord) -> None:
        answer = user.put(f"/users/{alice.id}", json={"admin": True})
        assert (answer.status_code, answer.json) == (403, FORBIDDEN)


class TestDelete:
    def test_is_for_good_and_takes_the_tokens_along(
        self,
        admin: Api,
        user: Api,
        alice: UserRecord,
        events: Callable[[str], list[EventRecord]],
    ) -> None:
        answer = admin.delete(f"/users/{alice.id}?hard_delete=true")
        assert (answer.status_code, answer.data) == (204, b"")
        answer = user.get("/user")
        assert (answer.status_code, answer.json) == (401, {"message": "401 Unauthorized"})
        assert admin.get(f"/users/{alice.id}").status_code == 404
        assert [event.data["username"] for event in events("user.deleted")] == ["alice"]

    def test_frees_the_name_but_not_the_id(self, admin: Api, alice: UserRecord) -> None:
        admin.delete(f"/users/{alice.id}")
        wanted = {"username": "alice", "email": alice.email, "name": "A", "reset_password": True}
        assert admin.post("/users", json=wanted).json["id"] > alice.id

    def test_is_412_when_he_was_changed_since(
        self, admin: Api, alice: UserRecord, clock: ManualClock
    ) -> None:
        clock.advance(seconds=60)
        before = {"If-Unmodified-Since": http_date(START - timedelta(seconds=1))}
        answer = admin.delete(f"/users/{alice.id}", headers=before)
        assert (answer.status_code, answer.json) == (412, {"message": "412 Precondition Failed"})
        same = {"If-Unmodified-Since": http_date(START)}
        assert admin.delete(f"/users/{alice.id}", headers=same).status_code == 204

    def test_ignores_a_precondition_that_is_no_date(self, admin: Api, alice: UserRecord) -> None:
        junk = {"If-Unmodified-Since": "junk"}
        assert admin.delete(f"/users/{alice.id}", headers=junk).status_code == 204

    def test_refuses_a_junk_flag(self, admin: Api, alice: UserRecord) -> None:
        answer = admin.delete(f"/users/{alice.id}?hard_delete=junk")
        assert (answer.status_code, answer.json) == (400, {"error": "hard_delete is invalid"})
        assert admin.get(f"/users/{alice.id}").status_code == 200

    def test_is_404_for_nobody(self, admin: Api) -> None:
        answer = admin.delete("/users/999")
        assert (answer.status_code, answer.json) == (404, NOBODY)


def test_a_token_of_an_admin_without_the_scope_manages_nobody(
    anonymous: Api, store: Store, root: UserRecord
) -> None:
    bob = make_user(store, "bob")
    reader = anonymous.holding(make_token(store, root, ("read_api",)).secret)
    assert reader.get(f"/users/{bob.id}").status_code == 200
    answer = reader.post(f"/users/{bob.id}/block")
    assert (answer.status_code, answer.json["scope"]) == (403, "read_user api read_api")
