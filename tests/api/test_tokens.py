"""Personal access tokens by id, through the front door."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from tests.api.conftest import Api
from tests.factories import make_client, make_token
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.services.directory import user_states
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import EventRecord, NewToken, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

TOKENS = "/personal_access_tokens"
UNKNOWN_IDS = ("999", "9223372036854775807", "9223372036854775808", "9" * 400)


def revoke(store: Store, token: NewToken) -> None:
    tokens.revoke(store, COMMAND_LINE, token.record.id)


def test_shows_exactly_the_keys_of_a_token(admin: Api, store: Store, alice: UserRecord) -> None:
    token = make_token(store, alice, ("api", "read_user"), name="ci", expires_on=date(2026, 4, 1))
    assert admin.get(f"{TOKENS}/{token.record.id}").json == {
        "id": token.record.id,
        "name": "ci",
        "revoked": False,
        "created_at": "2026-03-10T12:00:00.000Z",
        "description": None,
        "scopes": ["api", "read_user"],
        "user_id": alice.id,
        "last_used_at": None,
        "last_used_ips": [],
        "active": True,
        "expires_at": "2026-04-01",
        "audience": [],
        "allowed_ips": [],
        "granular": False,
    }


def test_marks_an_impersonation_token(admin: Api, store: Store, alice: UserRecord) -> None:
    token = make_token(store, alice, kind=TokenKind.IMPERSONATION)
    assert admin.get(f"{TOKENS}/{token.record.id}").json["impersonation"] is True


def test_shows_the_last_use_once_it_was_flushed(user: Api) -> None:
    user.get("/user", environ_overrides={"REMOTE_ADDR": "192.0.2.9"})
    user.client.application.extensions["tokensrv_usage"].flush()
    shown = user.get(f"{TOKENS}/self").json
    assert shown["last_used_at"] == "2026-03-10T12:00:00.000Z"
    assert shown["last_used_ips"] == ["192.0.2.9"]


def test_shows_no_token_its_digest_or_secret(user: Api) -> None:
    shown = user.get(TOKENS)
    assert user.secret not in shown.text
    assert not {"token", "digest"} & shown.json[0].keys()


class TestGet:
    def test_gives_a_user_his_own(self, user: Api) -> None:
        [own] = user.get(TOKENS).json
        assert user.get(f"{TOKENS}/{own['id']}").json == own

    def test_works_as_head(self, user: Api) -> None:
        [own] = user.get(TOKENS).json
        answer = user.call("HEAD", f"{TOKENS}/{own['id']}")
        assert (answer.status_code, answer.data) == (200, b"")

    @pytest.mark.parametrize("token_id", ["1", *UNKNOWN_IDS])
    def test_is_401_for_what_is_not_ones_own(self, admin: Api, user: Api, token_id: str) -> None:
        answer = user.get(f"{TOKENS}/{token_id}")
        assert (answer.status_code, answer.json) == (401, {"message": "401 Unauthorized"})

    def test_hides_an_impersonation_token_from_its_owner(
        self, user: Api, store: Store, alice: UserRecord
    ) -> None:
        hidden = make_token(store, alice, kind=TokenKind.IMPERSONATION)
        assert user.get(f"{TOKENS}/{hidden.record.id}").status_code == 401

    @pytest.mark.parametrize("token_id", UNKNOWN_IDS)
    def test_is_404_for_an_admin(self, admin: Api, token_id: str) -> None:
        answer = admin.get(f"{TOKENS}/{token_id}")
        assert (answer.status_code, answer.json) == (404, {"message": "404 Not Found"})

    @pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
    @pytest.mark.parametrize("token_id", ["junk", "1.0", "-1", "0x1", "%D9%A1", "%C2%B2", "1%20"])
    def test_is_400_for_an_id_that_is_no_number(
        self, admin: Api, method: str, token_id: str
    ) -> None:
        answer = admin.call(method, f"{TOKENS}/{token_id}")
        assert (answer.status_code, answer.json) == (400, {"error": "id is invalid"})


class TestChange:
    def test_renames_and_narrows(self, user: Api, store: Store, alice: UserRecord) -> None:
        token = make_token(store, alice, ("read_api", "read_user"))
        client = make_client(store).record
        wanted = {
            "name": "new",
            "description": "why",
            "scopes": "read_user",
            "expires_at": "2026-03-20",
            "audience": [client.client_id],
        }
        answer = user.patch(f"{TOKENS}/{token.record.id}", json=wanted)
        assert answer.status_code == 200, answer.text
        assert {key: answer.json[key] for key in wanted} == wanted | {"scopes": ["read_user"]}

    def test_leaves_what_is_not_named(self, user: Api, store: Store, alice: UserRecord) -> None:
        token = make_token(store, alice, description="kept", expires_on=date(2026, 4, 1))
        answer = user.patch(f"{TOKENS}/{token.record.id}", json={"name": "new"})
        assert answer.json["description"] == "kept"
        assert answer.json["expires_at"] == "2026-04-01"
        assert answer.json["scopes"] == ["api"]

    def test_removes_a_description(self, user: Api, store: Store, alice: UserRecord) -> None:
        token = make_token(store, alice, description="gone")
        answer = user.patch(f"{TOKENS}/{token.record.id}", json={"description": None})
        assert answer.json["description"] is None

    @pytest.mark.parametrize(
        "wanted",
        [
            pytest.param({"scopes": ["api"]}, id="wider-scopes"),
            pytest.param({"expires_at": "2026-04-02"}, id="later-expiry"),
            pytest.param({"expires_at": None}, id="no-expiry"),
            pytest.param({"audience": []}, id="wider-audience"),
        ],
    )
    def test_never_widens(
        self, user: Api, store: Store, alice: UserRecord, wanted: dict[str, Any]
    ) -> None:
        client = make_client(store).record.client_id
        token = make_token(
            store, alice, ("read_user",), expires_on=date(2026, 4, 1), audience=(client,)
        )
        before = user.get(f"{TOKENS}/{token.record.id}").json
        answer = user.patch(f"{TOKENS}/{token.record.id}", json=wanted)
        assert answer.status_code == 400
        assert answer.json == {"message": "400 Bad request - A token can only be narrowed"}
        assert user.get(f"{TOKENS}/{token.record.id}").json == before

    @pytest.mark.parametrize(
        ("wanted", "error"),
        [
            ({"name": ""}, "name is invalid"),
            ({"name": "x" * 256}, "name is invalid"),
            ({"name": None}, "name is invalid"),
            ({"name": 5}, "name is invalid"),
            ({"description": "x" * 256}, "description is invalid"),
            ({"scopes": []}, "scopes is missing"),
            ({"scopes": ["junk"]}, "scopes does not have a valid value"),
            ({"scopes": [1]}, "scopes is invalid"),
            ({"expires_at": "2026-03-10"}, "expires_at is invalid"),
            ({"expires_at": 5}, "expires_at is invalid"),
            ({"audience": ["nobody"]}, "audience does not have a valid value"),
        ],
    )
    def test_names_the_bad_parameter(
        self,
        user: Api,
        store: Store,
        alice: UserRecord,
        wanted: dict[str, Any],
        error: str,
    ) -> None:
        token = make_token(store, alice)
        answer = user.patch(f"{TOKENS}/{token.record.id}", json=wanted)
        assert (answer.status_code, answer.json) == (400, {"error": error})

    def test_is_refused_for_a_revoked_token(
        self, user: Api, store: Store, alice: UserRecord
    ) -> None:
        token = make_token(store, alice)
        revoke(store, token)
        answer = user.patch(f"{TOKENS}/{token.record.id}", json={"name": "new"})
        assert answer.status_code == 400
        assert answer.json == {"message": "400 Bad request - Token already revoked"}

    def test_is_401_for_a_foreign_token(self, admin: Api, user: Api) -> None:
        assert user.patch(f"{TOKENS}/1", json={"name": "new"}).status_code == 401

    def test_is_404_for_an_admin_and_an_unknown_one(self, admin: Api) -> None:
        answer = admin.patch(f"{TOKENS}/999", json={"name": "new"})
        assert (answer.status_code, answer.json) == (404, {"message": "404 Not Found"})


class TestRevoke:
    def test_takes_its_power_at_once(
        self, user: Api, store: Store, alice: UserRecord, events: Callable[[str], list[EventRecord]]
    ) -> None:
        token = make_token(store, alice)
        answer = user.delete(f"{TOKENS}/{token.record.id}")
        assert (answer.status_code, answer.data) == (204, b"")
        assert "Content-Type" not in answer.headers
        refused = user.holding(token.secret).get("/user")
        assert (refused.status_code, refused.json["error"]) == (401, "invalid_token")
        [event] = events("token.revoked")
        assert (event.token_id, event.actor, event.subject) == (token.record.id, "alice", "alice")

    def test_is_idempotent_for_an_admin(self, admin: Api, store: Store, alice: UserRecord) -> None:
        token = make_token(store, alice)
        for _ in range(2):
            assert admin.delete(f"{TOKENS}/{token.record.id}").status_code == 204

    def test_is_400_for_a_foreign_token(self, admin: Api, user: Api) -> None:
        answer = user.delete(f"{TOKENS}/1")
        assert answer.status_code == 400
        assert answer.json == {"message": "400 Bad request - Not permitted to revoke"}
        assert admin.get("/user").status_code == 200

    def test_is_400_for_an_impersonation_token_on_oneself(
        self, user: Api, store: Store, alice: UserRecord
    ) -> None:
        hidden = make_token(store, alice, kind=TokenKind.IMPERSONATION)
        assert user.delete(f"{TOKENS}/{hidden.record.id}").status_code == 400

    @pytest.mark.parametrize("owner", ["root", "alice"])
    def test_is_400_for_an_impersonation_token_that_revokes_itself(
        self, anonymous: Api, store: Store, request: pytest.FixtureRequest, owner: str
    ) -> None:
        token = make_token(store, request.getfixturevalue(owner), kind=TokenKind.IMPERSONATION)
        itself = anonymous.holding(token.secret)
        assert itself.delete(f"{TOKENS}/{token.record.id}").status_code == 400
        assert itself.get("/user").status_code == 200

    @pytest.mark.parametrize("who", ["admin", "user"])
    @pytest.mark.parametrize("token_id", UNKNOWN_IDS)
    def test_is_404_for_an_unknown_one(
        self, request: pytest.FixtureRequest, who: str, token_id: str
    ) -> None:
        caller: Api = request.getfixturevalue(who)
        answer = caller.delete(f"{TOKENS}/{token_id}")
        assert (answer.status_code, answer.json) == (404, {"message": "404 Not found"})


@pytest.mark.parametrize(
    ("state", "text"),
    [("block", "blocked"), ("deactivate", "deactivated"), ("ban", "blocked")],
)
def test_every_token_of_a_user_who_is_not_active_is_403(
    user: Api, store: Store, alice: UserRecord, state: str, text: str
) -> None:
    getattr(user_states, state)(store, COMMAND_LINE, alice.id)
    answer = user.get(TOKENS)
    assert answer.status_code == 403
    assert answer.json["message"].startswith(f"403 Forbidden - Your account has been {text}")
