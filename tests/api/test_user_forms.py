"""Who sees how much of a user."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.api.conftest import Api
from tests.factories import make_totp
from tokensrv.db import Store
from tokensrv.services.records import UserRecord

FORBIDDEN = {"message": "403 Forbidden"}
NOBODY = {"message": "404 User Not Found"}

BASIC = {"id", "username", "name", "state", "locked", "avatar_url", "web_url", "public_email"}
PROFILE = BASIC | {
    "created_at",
    "bio",
    "location",
    "skype",
    "linkedin",
    "twitter",
    "discord",
    "website_url",
    "organization",
    "job_title",
    "pronouns",
    "bot",
    "work_information",
    "followers",
    "following",
    "local_time",
}
OWN = PROFILE | {
    "last_sign_in_at",
    "confirmed_at",
    "current_sign_in_at",
    "last_activity_on",
    "email",
    "theme_id",
    "color_scheme_id",
    "projects_limit",
    "identities",
    "can_create_group",
    "can_create_project",
    "two_factor_enabled",
    "external",
    "private_profile",
    "commit_email",
}
ADMIN = OWN | {
    "is_admin",
    "note",
    "namespace_id",
    "created_by",
    "email_reset_offered_at",
    "current_sign_in_ip",
    "last_sign_in_ip",
    "sign_in_count",
}


class TestForms:
    def test_a_user_sees_himself(self, user: Api, alice: UserRecord) -> None:
        shown = user.get("/user").json
        assert shown.keys() == OWN
        assert (shown["id"], shown["username"], shown["state"]) == (alice.id, "alice", "active")
        assert shown["web_url"] == "http://127.0.0.1:8000/alice"
        assert (shown["email"], shown["commit_email"]) == ("alice@example.org",) * 2

    def test_an_admin_sees_more_of_himself(self, admin: Api) -> None:
        shown = admin.get("/user").json
        assert shown.keys() == ADMIN
        assert shown["is_admin"] is True

    def test_a_user_sees_anothers_profile(self, user: Api, root: UserRecord) -> None:
        shown = user.get(f"/users/{root.id}").json
        assert shown.keys() == PROFILE | {"is_followed"}

    def test_a_user_does_not_follow_himself(self, user: Api, alice: UserRecord) -> None:
        assert user.get(f"/users/{alice.id}").json.keys() == PROFILE

    def test_an_admin_sees_everything(self, admin: Api, alice: UserRecord) -> None:
        assert admin.get(f"/users/{alice.id}").json.keys() == ADMIN

    def test_the_day_of_the_last_activity_is_shown(self, user: Api) -> None:
        user.client.application.extensions["tokensrv_usage"].flush()
        assert user.get("/user").json["last_activity_on"] is None
        user.client.application.extensions["tokensrv_usage"].flush()
        assert user.get("/user").json["last_activity_on"] == "2026-03-10"

    def test_a_second_factor_is_shown_as_soon_as_there_is_one(
        self, store: Store, user: Api, admin: Api, alice: UserRecord
    ) -> None:
        def shown() -> list[bool]:
            forms = [user.get("/user").json, admin.get(f"/users/{alice.id}").json]
            return [form["two_factor_enabled"] for form in forms]

        assert shown() == [False, False]
        make_totp(store, alice)
        assert shown() == [True, True]
        named = admin.get("/users?two_factor=enabled").json
        assert [form["id"] for form in named] == [alice.id]

    def test_links_begin_with_the_external_url_whatever_the_host_says(
        self, user: Api, with_settings: Callable[..., Api]
    ) -> None:
        own = with_settings(user.secret, external_url="https://id.example.org/tokens")
        shown = own.get("/user", headers={"Host": "evil.example"}).json
        assert shown["web_url"] == "https://id.example.org/tokens/alice"


class TestGet:
    @pytest.mark.parametrize("user_id", ["0", "999", "9223372036854775808", "9" * 500])
    def test_is_404_for_nobody(self, user: Api, user_id: str) -> None:
        answer = user.get(f"/users/{user_id}")
        assert (answer.status_code, answer.json) == (404, NOBODY)

    @pytest.mark.parametrize("user_id", ["alice", "-1", "1.5", "%D9%A1", "%C2%B9"])
    def test_is_no_route_for_what_is_no_number(self, user: Api, user_id: str) -> None:
        answer = user.get(f"/users/{user_id}")
        assert (answer.status_code, answer.json) == (404, {"error": "404 Not Found"})

    @pytest.mark.parametrize("path", ["/users", "/users/1", "/users?username=alice"])
    def test_is_403_for_anonymous_callers(
        self, anonymous: Api, alice: UserRecord, path: str
    ) -> None:
        answer = anonymous.get(path)
        assert (answer.status_code, answer.json) == (403, FORBIDDEN)

    def test_oneself_is_401_for_anonymous_callers(self, anonymous: Api) -> None:
        answer = anonymous.get("/user")
        assert (answer.status_code, answer.json) == (401, {"message": "401 Unauthorized"})

    def test_oneself_is_also_found_where_the_version_before_had_it(self, user: Api) -> None:
        headers = {"PRIVATE-TOKEN": user.secret or ""}
        assert user.client.get("/api/v3/user", headers=headers).json == user.get("/user").json
        assert user.client.get("/api/v3/user").status_code == 401
        answer = user.client.get("/api/v3/users", headers=headers)
        gone = {"error": "API V3 is no longer supported. Use API V4 instead."}
        assert (answer.status_code, answer.json) == (410, gone)
