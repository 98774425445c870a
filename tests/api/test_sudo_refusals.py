"""Sudo over the API: every refusal, each in its order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import Api
from tests.factories import make_admin, make_token
from tokensrv.db import Store
from tokensrv.services.directory import user_states
from tokensrv.services.records import EventRecord, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

INVALID = {"error": "sudo is invalid"}
MUST_BE_ADMIN = {"message": "403 Forbidden - Must be admin to use sudo"}

Events = Callable[[str], list[EventRecord]]


def form(**fields: str) -> dict[str, Any]:
    return {"data": fields}


def raw_json(text: str) -> dict[str, Any]:
    return {"data": text, "content_type": "application/json"}


class TestUnreadable:
    @pytest.mark.parametrize(
        "options",
        [
            pytest.param({"headers": {"Sudo": ""}}, id="empty-header"),
            pytest.param({"headers": {"Sudo": " \t"}}, id="blank-header"),
            pytest.param({"headers": {"Sudo": "alice,bob"}}, id="two-headers-joined"),
            pytest.param({"environ_overrides": {"HTTP_SUDO": "\xc3\xa4lice"}}, id="utf-8-header"),
            pytest.param({"environ_overrides": {"HTTP_SUDO": "\xe4lice"}}, id="latin-1-header"),
            pytest.param({"environ_overrides": {"HTTP_SUDO": "al\0ice"}}, id="nul-header"),
            pytest.param({"query_string": "sudo"}, id="bare-parameter"),
            pytest.param({"query_string": "sudo="}, id="empty-parameter"),
            pytest.param({"query_string": "sudo=%20"}, id="blank-parameter"),
            pytest.param({"query_string": "sudo=%FF"}, id="undecodable-parameter"),
            pytest.param({"query_string": "sudo=alice%2Cbob"}, id="comma"),
            pytest.param({"query_string": "sudo=%D9%A1"}, id="other-digits"),
            pytest.param({"query_string": "sudo=alice&sudo=alice"}, id="twice-in-query"),
            pytest.param({"query_string": "sudo[]=alice"}, id="array"),
            pytest.param({"query_string": "sudo[x]=alice"}, id="object"),
            pytest.param(form(sudo=""), id="empty-in-form"),
            pytest.param({"data": {"sudo": ["alice", "alice"]}}, id="twice-in-form"),
            pytest.param(
                {"query_string": "sudo=alice", "data": {"sudo": "alice"}}, id="query-and-form"
            ),
            pytest.param(
                {"query_string": "sudo=alice", "json": {"sudo": "alice"}}, id="query-and-json"
            ),
            pytest.param(raw_json('{"sudo": "alice", "sudo": "alice"}'), id="duplicate-key"),
            pytest.param({"json": {"sudo": None}}, id="null"),
            pytest.param({"json": {"sudo": True}}, id="true"),
            pytest.param({"json": {"sudo": 2.0}}, id="float"),
            pytest.param({"json": {"sudo": ["alice"]}}, id="list"),
            pytest.param({"json": {"sudo": {"id": 2}}}, id="dict"),
            pytest.param({"json": {"sudo": ""}}, id="empty-in-json"),
            pytest.param({"headers": {"Sudo": "alice"}, "query_string": "sudo=2"}, id="disagree"),
            pytest.param(
                {"headers": {"Sudo": "alice"}, "query_string": "sudo="}, id="one-is-empty"
            ),
            pytest.param(
                {"headers": {"Sudo": ""}, "query_string": "sudo=alice"}, id="other-is-empty"
            ),
            pytest.param(
                {"headers": {"Sudo": "alice", "Sudo-Reason": "a"}, "query_string": "sudo_reason=b"},
                id="reasons-disagree",
            ),
            pytest.param({"json": {"sudo": "alice", "sudo_reason": 5}}, id="reason-is-no-text"),
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    def test_is_400_and_never_ignored(
        self,
        admin: Api,
        alice: UserRecord,
        events: Events,
        options: dict[str, Any],
        method: str,
    ) -> None:
        answer = admin.call(method, "/personal_access_tokens/1", **options)
        assert (answer.status_code, answer.json) == (400, INVALID)
        assert admin.get("/user").status_code == 200
        assert not events("sudo.used") + events("sudo.refused")

    def test_comes_before_the_role(self, user: Api) -> None:
        assert user.get("/user", headers={"Sudo": ""}).json == INVALID

    def test_comes_after_the_credential(self, anonymous: Api, user: Api) -> None:
        assert anonymous.get("/user", headers={"Sudo": ""}).status_code == 401
        user.delete("/personal_access_tokens/self")
        answer = user.get("/user", headers={"Sudo": ""})
        assert (answer.status_code, answer.json["error"]) == (401, "invalid_token")


class TestRefused:
    """Each case fails its own check and every later one that it can."""

    def test_without_a_credential(self, anonymous: Api) -> None:
        answer = anonymous.get("/users", headers={"Sudo": "nobody"})
        assert (answer.status_code, answer.json) == (401, {"message": "401 Unauthorized"})

    def test_to_who_is_no_admin(self, user: Api) -> None:
        answer = user.get("/user", headers={"Sudo": "nobody"})
        assert (answer.status_code, answer.json) == (403, MUST_BE_ADMIN)

    def test_to_an_admin_who_was_demoted_a_moment_ago(
        self, admin: Api, store: Store, root: UserRecord, alice: UserRecord
    ) -> None:
        make_admin(store, "second")
        user_states.demote(store, COMMAND_LINE, root.id)
        answer = admin.get("/user", headers={"Sudo": "alice"})
        assert (answer.status_code, answer.json) == (403, MUST_BE_ADMIN)

    def test_to_a_token_without_the_scope(
        self, anonymous: Api, store: Store, root: UserRecord
    ) -> None:
        plain = anonymous.holding(make_token(store, root).secret)
        answer = plain.get("/user", headers={"Sudo": "nobody"})
        assert (answer.status_code, answer.json["error"]) == (403, "insufficient_scope")
        assert answer.json["scope"] == "sudo"
        assert 'scope="sudo"' in answer.headers["WWW-Authenticate"]

    @pytest.mark.parametrize("who", ["nobody", "alice@example.org", "999", "9" * 19, "0x2", "'"])
    def test_for_a_target_that_does_not_exist(
        self, admin: Api, alice: UserRecord, with_settings: Callable[..., Api], who: str
    ) -> None:
        strict = with_settings(admin.secret, sudo_reason_required=True)
        answer = strict.get("/user", headers={"Sudo": who})
        assert answer.status_code == 404
        assert answer.json == {"message": f"404 User with ID or username '{who}' Not Found"}

    @pytest.mark.parametrize("state", ["block", "deactivate", "ban"])
    def test_for_a_target_that_is_not_active_admin_or_not(
        self, admin: Api, store: Store, state: str
    ) -> None:
        second = make_admin(store, "second")
        getattr(user_states, state)(store, COMMAND_LINE, second.id)
        answer = admin.get("/user", headers={"Sudo": "second"})
        assert answer.status_code == 403
        assert answer.json == {
            "message": "403 Forbidden - Must not sudo to a user who is not active"
        }

    @pytest.mark.parametrize("who", ["second", "root"])
    def test_for_an_admin_oneself_included(
        self, admin: Api, store: Store, with_settings: Callable[..., Api], who: str
    ) -> None:
        make_admin(store, "second")
        strict = with_settings(admin.secret, sudo_reason_required=True)
        answer = strict.get("/user", headers={"Sudo": who})
        assert answer.status_code == 403
        assert answer.json == {"message": "403 Forbidden - Must not sudo to an administrator"}

    @pytest.mark.parametrize("reason", [None, "", " "])
    def test_without_a_reason_where_one_is_required(
        self, admin: Api, alice: UserRecord, with_settings: Callable[..., Api], reason: str | None
    ) -> None:
        strict = with_settings(admin.secret, sudo_reason_required=True)
        headers = {"Sudo": "alice"} | ({} if reason is None else {"Sudo-Reason": reason})
        answer = strict.get("/user", headers=headers)
        assert (answer.status_code, answer.json) == (400, {"error": "sudo_reason is missing"})

    def test_for_a_reason_that_is_too_long(self, admin: Api, alice: UserRecord) -> None:
        headers = {"Sudo": "alice", "Sudo-Reason": "x" * 256}
        assert admin.get("/user", headers=headers).status_code == 400

    def test_before_the_scope_of_the_route_and_the_role(
        self, anonymous: Api, store: Store, root: UserRecord
    ) -> None:
        weak = anonymous.holding(make_token(store, root, ("read_registry", "sudo")).secret)
        answer = weak.post("/users", headers={"Sudo": "nobody"}, json={})
        assert answer.status_code == 404

    def test_is_on_record_once_a_minute(
        self, admin: Api, user: Api, alice: UserRecord, events: Events
    ) -> None:
        for _ in range(3):
            user.get("/user?x=1", headers={"Sudo": "root"})
        [event] = events("sudo.refused")
        assert (event.actor, event.subject, event.token_id) == ("alice", "root", 2)
        assert event.data["check"] == "admin"
        assert (event.data["method"], event.data["path"]) == ("GET", "/api/v4/user")
