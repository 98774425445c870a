"""States of users, and what no admin does to himself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.factories import make_admin
from tokensrv.db import Store
from tokensrv.services.directory import user_states
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

FORBIDDEN = {"message": "403 Forbidden"}
NOBODY = {"message": "404 User Not Found"}


class TestAdmins:
    @pytest.mark.parametrize(
        ("method", "rest", "options"),
        [
            ("DELETE", "", {}),
            ("PUT", "", {"json": {"admin": False}}),
            ("POST", "/block", {}),
            ("POST", "/deactivate", {}),
            ("POST", "/ban", {}),
        ],
    )
    def test_nobody_does_it_to_himself(
        self,
        admin: Api,
        store: Store,
        root: UserRecord,
        method: str,
        rest: str,
        options: dict[str, Any],
    ) -> None:
        make_admin(store, "second")
        answer = admin.call(method, f"/users/{root.id}{rest}", **options)
        assert answer.status_code == 403
        assert admin.get("/user").json["is_admin"] is True

    def test_one_may_remove_another(self, admin: Api, store: Store) -> None:
        second = make_admin(store, "second")
        assert admin.delete(f"/users/{second.id}").status_code == 204


class TestStates:
    @pytest.mark.parametrize(
        ("before", "verb", "body", "state"),
        [
            ((), "block", "true", "blocked"),
            (("block",), "block", "null", "blocked"),
            (("deactivate",), "block", "true", "blocked"),
            (("block",), "unblock", "true", "active"),
            ((), "unblock", "false", "active"),
            (("deactivate",), "activate", "true", "active"),
            ((), "activate", "true", "active"),
            ((), "deactivate", "true", "deactivated"),
            (("deactivate",), "deactivate", "null", "deactivated"),
            ((), "ban", "true", "banned"),
            (("ban",), "unban", "true", "active"),
        ],
    )
    def test_is_201_with_what_happened(
        self,
        admin: Api,
        store: Store,
        alice: UserRecord,
        before: tuple[str, ...],
        verb: str,
        body: str,
        state: str,
    ) -> None:
        for earlier in before:
            getattr(user_states, earlier)(store, COMMAND_LINE, alice.id)
        answer = admin.post(f"/users/{alice.id}/{verb}")
        assert (answer.status_code, answer.text.strip()) == (201, body)
        assert admin.get(f"/users/{alice.id}").json["state"] == state

    @pytest.mark.parametrize(
        ("before", "verb", "reason"),
        [
            ("deactivate", "unblock", "Deactivated users cannot be unblocked by the API"),
            ("block", "activate", "A blocked user must be unblocked to be activated"),
            ("block", "deactivate", "A blocked user cannot be deactivated by the API"),
            ("ban", "block", "Banned users cannot be blocked by the API"),
            ("block", "ban", "You cannot ban blocked users"),
            ("block", "unban", "You cannot unban blocked users"),
        ],
    )
    def test_is_403_with_the_reason(
        self, admin: Api, store: Store, alice: UserRecord, before: str, verb: str, reason: str
    ) -> None:
        getattr(user_states, before)(store, COMMAND_LINE, alice.id)
        answer = admin.post(f"/users/{alice.id}/{verb}")
        assert answer.status_code == 403
        assert answer.json == {"message": f"403 Forbidden - {reason}"}

    def test_nobody_blocks_himself(self, admin: Api, root: UserRecord) -> None:
        assert admin.post(f"/users/{root.id}/block").json == {
            "message": "403 Forbidden - The API initiating user cannot be blocked by the API"
        }

    @pytest.mark.parametrize("verb", ["block", "unblock", "activate", "deactivate", "ban", "unban"])
    def test_is_for_admins_and_for_users_who_exist(
        self, admin: Api, user: Api, anonymous: Api, alice: UserRecord, verb: str
    ) -> None:
        answer = admin.post(f"/users/999/{verb}")
        assert (answer.status_code, answer.json) == (404, NOBODY)
        answer = user.post(f"/users/{alice.id}/{verb}")
        assert (answer.status_code, answer.json) == (403, FORBIDDEN)
        assert anonymous.post(f"/users/{alice.id}/{verb}").status_code == 401

    def test_blocking_is_felt_by_the_next_request(
        self, admin: Api, user: Api, alice: UserRecord
    ) -> None:
        assert user.get("/user").status_code == 200
        admin.post(f"/users/{alice.id}/block")
        assert user.get("/user").status_code == 403
        admin.post(f"/users/{alice.id}/unblock")
        assert user.get("/user").status_code == 200
