"""New personal access tokens: who may give what to whom, until when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from tests.api.conftest import Api
from tests.factories import make_client, make_token
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.services.records import EventRecord, UserRecord

OWN = "/user/personal_access_tokens"
NO_VALUE = {"error": "scopes does not have a valid value"}
LAST_DAY = {"message": "Expiration date must be before 2027-03-10"}


@pytest.fixture
def path(alice: UserRecord) -> str:
    return f"/users/{alice.id}/personal_access_tokens"


class TestForAUser:
    @pytest.mark.parametrize(
        "options",
        [
            pytest.param({"json": {"name": "ci", "scopes": ["api", "read_user"]}}, id="json"),
            pytest.param({"json": {"name": "ci", "scopes": "api, read_user"}}, id="json-comma"),
            pytest.param({"data": {"name": "ci", "scopes[]": ["api", "read_user"]}}, id="form"),
            pytest.param({"data": {"name": "ci", "scopes": "api,read_user"}}, id="form-comma"),
            pytest.param(
                {"query_string": {"name": "ci", "scopes[]": ["api", "read_user"]}}, id="query"
            ),
            pytest.param(
                {"query_string": {"name": "ci"}, "json": {"scopes": ["api", "read_user"]}},
                id="merged",
            ),
            pytest.param(
                {
                    "data": {"name": "ci", "scopes[]": ["api", "read_user"]},
                    "content_type": "multipart/form-data",
                },
                id="multipart",
            ),
        ],
    )
    def test_takes_parameters_from_everywhere(
        self, admin: Api, path: str, alice: UserRecord, options: dict[str, Any]
    ) -> None:
        answer = admin.post(path, **options)
        assert answer.status_code == 201, answer.text
        assert (answer.json["user_id"], answer.json["name"]) == (alice.id, "ci")
        assert answer.json["scopes"] == ["api", "read_user"]
        assert admin.holding(answer.json["token"]).get("/user").json["username"] == "alice"

    def test_takes_everything_a_token_can_have(
        self,
        admin: Api,
        path: str,
        store: Store,
        events: Callable[[str], list[EventRecord]],
    ) -> None:
        client = make_client(store).record.client_id
        wanted = {
            "name": "ci",
            "scopes": ["read_user"],
            "description": "why",
            "expires_at": "2027-03-10",
            "audience": [client],
        }
        answer = admin.post(path, json=wanted)
        assert {key: answer.json[key] for key in wanted} == wanted
        event = events("token.created")[-1]
        assert (event.actor, event.data["user_id"]) == ("root", answer.json["user_id"])
        assert answer.json["token"] not in str(event)

    def test_gives_the_secret_once(self, admin: Api, path: str) -> None:
        made = admin.post(path, json={"name": "ci", "scopes": ["api"]}).json
        shown = admin.get(f"/personal_access_tokens/{made['id']}")
        assert made["token"].startswith("tsp_")
        assert made["token"] not in shown.text

    @pytest.mark.parametrize(
        "day", ["2026-05-01T23:59:59+02:00", "20260501", "2026-W18-5", "2026-5-1", "2026-02-30"]
    )
    def test_takes_a_day_in_one_form_only(self, admin: Api, path: str, day: str) -> None:
        answer = admin.post(path, json={"name": "ci", "scopes": "api", "expires_at": day})
        assert (answer.status_code, answer.json) == (400, {"error": "expires_at is invalid"})

    @pytest.mark.parametrize(
        ("wanted", "error"),
        [
            ({}, "name is missing, scopes is missing"),
            ({"name": "ci"}, "scopes is missing"),
            ({"scopes": ["api"]}, "name is missing"),
            ({"name": None, "scopes": None}, "name is invalid, scopes is invalid"),
            ({"name": " ", "scopes": ["api"]}, "name is invalid"),
            ({"name": "x" * 256, "scopes": ["api"]}, "name is invalid"),
            ({"name": "a\0b", "scopes": ["api"]}, "name is invalid"),
            ({"name": "\ud800", "scopes": ["api"]}, "name is invalid"),
            ({"name": {"a": 1}, "scopes": ["api"]}, "name is invalid"),
            ({"name": "ci", "scopes": []}, "scopes is missing"),
            ({"name": "ci", "scopes": ""}, "scopes is missing"),
            ({"name": "ci", "scopes": [["api"]]}, "scopes is invalid"),
            ({"name": "ci", "scopes": {"api": 1}}, "scopes is invalid"),
            ({"name": "ci", "scopes": 5}, "scopes is invalid"),
            ({"name": "ci", "scopes": ["api", "junk"]}, NO_VALUE["error"]),
            ({"name": "ci", "scopes": ["API"]}, NO_VALUE["error"]),
            ({"name": "ci", "scopes": ["sudo"]}, NO_VALUE["error"]),
            ({"name": "ci", "scopes": ["introspect"]}, NO_VALUE["error"]),
            ({"name": "ci", "scopes": "api", "description": "x" * 256}, "description is invalid"),
            ({"name": "ci", "scopes": "api", "expires_at": "junk"}, "expires_at is invalid"),
            ({"name": "ci", "scopes": "api", "expires_at": ""}, "expires_at is invalid"),
            ({"name": "ci", "scopes": "api", "expires_at": "2026-03-10"}, "expires_at is invalid"),
            (
                {"name": "ci", "scopes": "api", "expires_at": "\u0662026-05-01"},
                "expires_at is invalid",
            ),
            (
                {"name": "ci", "scopes": "api", "audience": ["nobody"]},
                "audience does not have a valid value",
            ),
        ],
    )
    def test_names_what_is_wrong_and_makes_nothing(
        self,
        admin: Api,
        path: str,
        alice: UserRecord,
        wanted: dict[str, Any],
        error: str,
    ) -> None:
        answer = admin.post(path, json=wanted)
        assert (answer.status_code, answer.json) == (400, {"error": error})
        assert admin.get(f"/personal_access_tokens?user_id={alice.id}").json == []

    def test_is_422_after_the_last_day_and_names_it(self, admin: Api, path: str) -> None:
        wanted = {"name": "ci", "scopes": "api", "expires_at": "2027-03-11"}
        answer = admin.post(path, json=wanted)
        assert (answer.status_code, answer.json) == (422, LAST_DAY)

    def test_gives_an_admin_sudo_if_the_calling_token_has_it(
        self, admin: Api, root: UserRecord
    ) -> None:
        wanted = {"name": "ci", "scopes": ["sudo"]}
        answer = admin.post(f"/users/{root.id}/personal_access_tokens", json=wanted)
        assert (answer.status_code, answer.json["scopes"]) == (201, ["sudo"])

    def test_gives_no_sudo_that_the_calling_token_lacks(
        self, anonymous: Api, store: Store, root: UserRecord
    ) -> None:
        weak = anonymous.holding(make_token(store, root).secret)
        wanted = {"name": "ci", "scopes": ["introspect", "api", "sudo"]}
        answer = weak.post(f"/users/{root.id}/personal_access_tokens", json=wanted)
        assert (answer.status_code, answer.json["scope"]) == (403, "introspect sudo")

    def test_is_401_before_it_looks_at_parameters(self, anonymous: Api, path: str) -> None:
        assert anonymous.post(path).status_code == 401

    def test_is_403_for_a_user_also_for_himself_before_it_looks_at_parameters(
        self, user: Api, path: str
    ) -> None:
        answer = user.post(path)
        assert (answer.status_code, answer.json) == (403, {"message": "403 Forbidden"})

    @pytest.mark.parametrize("user_id", ["0", "999", "9" * 30])
    def test_is_404_for_nobody(self, admin: Api, user_id: str) -> None:
        wanted = {"name": "ci", "scopes": ["api"]}
        answer = admin.post(f"/users/{user_id}/personal_access_tokens", json=wanted)
        assert (answer.status_code, answer.json) == (404, {"message": "404 User Not Found"})

    def test_fills_in_an_end_where_one_is_required(
        self, admin: Api, path: str, with_settings: Callable[..., Api]
    ) -> None:
        strict = with_settings(admin.secret, require_expiry=True, max_lifetime_days=30)
        answer = strict.post(path, json={"name": "ci", "scopes": ["api"]})
        assert answer.json["expires_at"] == "2026-04-09"

    def test_knows_the_deployments_own_scopes_and_prefix(
        self, admin: Api, path: str, with_settings: Callable[..., Api]
    ) -> None:
        own = with_settings(admin.secret, extra_scopes=("deploy",), prefix="acme")
        answer = own.post(path, json={"name": "ci", "scopes": ["deploy"]})
        assert answer.status_code == 201
        assert answer.json["token"].startswith("acmep_")
        assert admin.post(path, json={"name": "ci", "scopes": ["deploy"]}).json == NO_VALUE

    def test_is_refused_to_an_impersonation_token(
        self, anonymous: Api, store: Store, root: UserRecord, path: str
    ) -> None:
        hidden = make_token(store, root, kind=TokenKind.IMPERSONATION)
        answer = anonymous.holding(hidden.secret).post(path, json={"name": "x", "scopes": "api"})
        assert (answer.status_code, answer.json) == (403, {"message": "403 Forbidden"})


class TestForOneself:
    def test_makes_one_with_scopes_that_are_held(self, user: Api, alice: UserRecord) -> None:
        answer = user.post(OWN, json={"name": "ci", "scopes": ["read_api", "self_rotate"]})
        assert answer.status_code == 201
        assert (answer.json["user_id"], answer.json["expires_at"]) == (alice.id, None)
        assert user.holding(answer.json["token"]).get("/user").status_code == 200

    def test_names_the_scopes_that_are_not_held(
        self, with_settings: Callable[..., Api], user: Api
    ) -> None:
        own = with_settings(user.secret, extra_scopes=("deploy",))
        answer = own.post(OWN, json={"name": "ci", "scopes": ["api", "deploy"]})
        assert answer.status_code == 403
        assert (answer.json["error"], answer.json["scope"]) == ("insufficient_scope", "deploy")

    @pytest.mark.parametrize("scope", ["sudo", "introspect"])
    def test_is_400_for_the_admins_scopes_whoever_asks(
        self, anonymous: Api, store: Store, root: UserRecord, scope: str
    ) -> None:
        strong = anonymous.holding(make_token(store, root, ("api", "sudo", "introspect")).secret)
        answer = strong.post(OWN, json={"name": "ci", "scopes": [scope]})
        assert (answer.status_code, answer.json) == (400, NO_VALUE)

    def test_needs_the_scope_api(self, anonymous: Api, store: Store, alice: UserRecord) -> None:
        weak = anonymous.holding(make_token(store, alice, ("read_api",)).secret)
        answer = weak.post(OWN, json={"name": "ci", "scopes": ["read_api"]})
        assert (answer.status_code, answer.json["scope"]) == (403, "api read_api")

    def test_inherits_the_callers_end_and_never_outlives_it(
        self, anonymous: Api, store: Store, alice: UserRecord
    ) -> None:
        short = anonymous.holding(make_token(store, alice, expires_on=date(2026, 4, 1)).secret)
        wanted = {"name": "ci", "scopes": ["api"]}
        assert short.post(OWN, json=wanted).json["expires_at"] == "2026-04-01"
        answer = short.post(OWN, json=wanted | {"expires_at": "2026-04-02"})
        assert answer.status_code == 422
        assert answer.json == {"message": "Expiration date must be before 2026-04-01"}

    def test_is_refused_to_an_impersonation_token(
        self, anonymous: Api, store: Store, alice: UserRecord
    ) -> None:
        hidden = make_token(store, alice, kind=TokenKind.IMPERSONATION)
        answer = anonymous.holding(hidden.secret).post(OWN, json={"name": "x", "scopes": "api"})
        assert (answer.status_code, answer.json) == (403, {"message": "403 Forbidden"})

    def test_is_401_without_a_token(self, anonymous: Api) -> None:
        assert anonymous.post(OWN).json == {"message": "401 Unauthorized"}
