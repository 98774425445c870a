"""Sudo over the API: what it changes when it is granted, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import Api, ids
from tests.conftest import ManualClock
from tests.factories import make_admin, make_client, make_token, make_user
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.services.directory import users
from tokensrv.services.records import EventRecord, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

NOT_UNDER_SUDO = {"message": "403 Forbidden - Not allowed while using sudo"}

Events = Callable[[str], list[EventRecord]]

WAYS: dict[str, Callable[[str], dict[str, Any]]] = {
    "header": lambda who: {"headers": {"Sudo": who}},
    "header-in-any-case": lambda who: {"headers": {"SUDO": who}},
    "query": lambda who: {"query_string": {"sudo": who}},
    "form": lambda who: {"data": {"sudo": who}},
    "json": lambda who: {"json": {"sudo": who}},
    "both": lambda who: {"headers": {"Sudo": who}, "query_string": {"sudo": who.upper()}},
}


class TestGranted:
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("who", ["alice", "ALICE", "id"])
    def test_acts_as_the_user_and_says_so(
        self, admin: Api, root: UserRecord, alice: UserRecord, way: str, who: str
    ) -> None:
        answer = admin.get("/user", **WAYS[way](str(alice.id) if who == "id" else who))
        assert (answer.status_code, answer.json["username"]) == (200, "alice")
        assert "is_admin" not in answer.json
        assert answer.headers["Tokensrv-Actor"] == str(root.id)
        assert answer.headers["Tokensrv-Subject"] == str(alice.id)

    def test_takes_a_number_in_json(self, admin: Api, alice: UserRecord) -> None:
        assert admin.get("/user", json={"sudo": alice.id}).json["username"] == "alice"

    def test_is_named_in_no_other_answer(self, admin: Api, alice: UserRecord) -> None:
        answer = admin.get("/user")
        assert not {"Tokensrv-Actor", "Tokensrv-Subject"} & set(answer.headers.keys())

    def test_is_named_in_errors_too(self, admin: Api, alice: UserRecord) -> None:
        answer = admin.get("/users/999", headers={"Sudo": "alice"})
        assert answer.status_code == 404
        assert answer.headers["Tokensrv-Subject"] == str(alice.id)

    def test_has_the_subjects_power_and_no_other(
        self, admin: Api, user: Api, alice: UserRecord, root: UserRecord
    ) -> None:
        sudo = {"Sudo": "alice"}
        assert ids(admin.get("/personal_access_tokens", headers=sudo)) == [2]
        assert admin.get("/personal_access_tokens/1", headers=sudo).status_code == 401
        assert admin.get("/personal_access_tokens/2", headers=sudo).status_code == 200
        answer = admin.post(f"/users/{alice.id}/block", headers=sudo)
        assert (answer.status_code, answer.json) == (403, {"message": "403 Forbidden"})
        answer = admin.get(f"/users/{alice.id}/impersonation_tokens", headers=sudo)
        assert answer.status_code == 403

    def test_with_sudo_alone_opens_everything_and_nothing_without_the_header(
        self, anonymous: Api, store: Store, root: UserRecord, alice: UserRecord
    ) -> None:
        alone = anonymous.holding(make_token(store, root, ("sudo",)).secret)
        assert alone.get("/user", headers={"Sudo": "alice"}).json["username"] == "alice"
        answer = alone.get("/user")
        assert (answer.status_code, answer.json["scope"]) == (403, "read_user api read_api")

    def test_never_has_more_than_the_token(
        self, anonymous: Api, store: Store, root: UserRecord, user: Api
    ) -> None:
        reader = anonymous.holding(make_token(store, root, ("read_user", "sudo")).secret)
        sudo = {"Sudo": "alice"}
        assert reader.get("/user", headers=sudo).status_code == 200
        answer = reader.get("/personal_access_tokens", headers=sudo)
        assert (answer.status_code, answer.json["scope"]) == (403, "api read_api")

    def test_of_an_admins_impersonation_token_works(
        self, anonymous: Api, store: Store, root: UserRecord, alice: UserRecord
    ) -> None:
        token = make_token(store, root, ("sudo",), kind=TokenKind.IMPERSONATION)
        holder = anonymous.holding(token.secret)
        assert holder.get("/user", headers={"Sudo": "alice"}).status_code == 200

    def test_acts_as_an_admin_where_the_settings_allow_it(
        self, admin: Api, store: Store, with_settings: Callable[..., Api]
    ) -> None:
        make_admin(store, "second")
        open_ = with_settings(admin.secret, sudo_admin_targets=True)
        for who in ("second", "root"):
            shown = open_.get("/user", headers={"Sudo": who})
            assert shown.json["username"] == who
            assert "Tokensrv-Subject" in shown.headers


class TestRecord:
    def test_is_written_for_reads_with_actor_subject_and_reason(
        self, admin: Api, root: UserRecord, alice: UserRecord, events: Events
    ) -> None:
        headers = {"Sudo": "ALICE", "Sudo-Reason": "ticket 7", "X-Request-Id": "r-1"}
        admin.get("/users?search=a", headers=headers)
        [event] = events("sudo.used")
        assert (event.actor_id, event.actor) == (root.id, "root")
        assert (event.subject_id, event.subject) == (alice.id, "alice")
        assert (event.token_id, event.reason, event.request_id) == (1, "ticket 7", "r-1")
        assert event.data == {"method": "GET", "path": "/api/v4/users"}

    def test_takes_the_reason_as_a_parameter(
        self, admin: Api, alice: UserRecord, with_settings: Callable[..., Api], events: Events
    ) -> None:
        strict = with_settings(admin.secret, sudo_reason_required=True)
        assert strict.get("/user", json={"sudo": "alice", "sudo_reason": "why"}).status_code == 200
        assert [event.reason for event in events("sudo.used")] == ["why"]

    def test_of_a_change_names_both_in_both_events(
        self, admin: Api, user: Api, events: Events
    ) -> None:
        sudo = {"Sudo": "alice", "Sudo-Reason": "leak"}
        assert admin.delete("/personal_access_tokens/2", headers=sudo).status_code == 204
        for action in ("sudo.used", "token.revoked"):
            [event] = events(action)
            assert (event.actor, event.subject, event.reason) == ("root", "alice", "leak")
        assert user.get("/user").status_code == 401


class TestMinting:
    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("POST", "/user/personal_access_tokens", {"name": "x", "scopes": ["api"]}),
            ("POST", "/users/2/personal_access_tokens", {"name": "x", "scopes": ["api"]}),
            ("POST", "/users/2/impersonation_tokens", {"name": "x", "scopes": ["api"]}),
            ("POST", "/personal_access_tokens/2/rotate", {}),
            ("POST", "/personal_access_tokens/self/rotate", {}),
            ("PATCH", "/personal_access_tokens/2", {"name": "x"}),
            ("DELETE", "/personal_access_tokens/self", {}),
            ("POST", "/users", {}),
            ("PUT", "/users/2", {"password": "correct horse"}),
        ],
    )
    @pytest.mark.parametrize("who", ["alice", "second"])
    def test_is_403_before_parameters_and_role(
        self,
        admin: Api,
        user: Api,
        store: Store,
        with_settings: Callable[..., Api],
        method: str,
        path: str,
        body: dict[str, Any],
        who: str,
    ) -> None:
        make_admin(store, "second")
        open_ = with_settings(admin.secret, sudo_admin_targets=True)
        for wanted in (body, body | {"expires_at": "junk"}):
            answer = open_.call(method, path, headers={"Sudo": who}, json=wanted)
            assert (answer.status_code, answer.json) == (403, NOT_UNDER_SUDO)
        assert admin.get("/user").status_code == 200
        assert user.get("/user").status_code == 200

    def test_is_403_before_the_id_is_looked_at(self, admin: Api, user: Api) -> None:
        answer = admin.post("/personal_access_tokens/junk/rotate", headers={"Sudo": "alice"})
        assert answer.json == NOT_UNDER_SUDO

    def test_the_presented_token_is_shown_whoever_is_meant(
        self, anonymous: Api, store: Store, root: UserRecord, alice: UserRecord
    ) -> None:
        alone = anonymous.holding(make_token(store, root, ("sudo",)).secret)
        sudo = {"Sudo": "alice"}
        shown = alone.get("/personal_access_tokens/self", headers=sudo)
        assert (shown.json["user_id"], shown.json["scopes"]) == (root.id, ["sudo"])
        answer = alone.get("/personal_access_tokens/self/associations", headers=sudo)
        assert answer.status_code == 200

    def test_a_revoked_token_that_rotates_under_sudo_is_a_copy_too(
        self, admin: Api, clock: ManualClock, alice: UserRecord
    ) -> None:
        new = admin.post("/personal_access_tokens/self/rotate").json["token"]
        clock.advance(seconds=1)
        answer = admin.post("/personal_access_tokens/self/rotate", headers={"Sudo": "alice"})
        assert answer.status_code == 401
        assert admin.holding(new).get("/user").status_code == 401


def test_a_token_for_other_services_does_not_sudo_here(
    anonymous: Api, store: Store, root: UserRecord, alice: UserRecord
) -> None:
    audience = (make_client(store).record.client_id,)
    token = make_token(store, root, ("api", "sudo"), audience=audience)
    answer = anonymous.holding(token.secret).get("/user", headers={"Sudo": "alice"})
    assert (answer.status_code, answer.json["error"]) == (403, "insufficient_scope")


def test_a_username_that_came_back_is_not_the_old_user(
    admin: Api, store: Store, alice: UserRecord
) -> None:
    users.delete(store, COMMAND_LINE, alice.id)
    new = make_user(store)
    assert admin.get("/user", headers={"Sudo": "alice"}).json["id"] == new.id
    assert admin.get("/user", headers={"Sudo": str(alice.id)}).status_code == 404
