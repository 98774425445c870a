"""Rotation of personal access tokens, and what a copied one sets off."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from tests.api.conftest import Api
from tests.conftest import START, ManualClock
from tests.factories import make_token
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import EventRecord, NewToken, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

TOKENS = "/personal_access_tokens"


def revoke(store: Store, token: NewToken) -> None:
    tokens.revoke(store, COMMAND_LINE, token.record.id)


class TestRotate:
    def test_gives_a_successor_and_ends_the_old_one(
        self, user: Api, store: Store, alice: UserRecord, events: Callable[[str], list[EventRecord]]
    ) -> None:
        old = make_token(store, alice, name="ci", description="why")
        answer = user.post(f"{TOKENS}/{old.record.id}/rotate", json={})
        assert answer.status_code == 200
        new = answer.json
        assert (new["name"], new["description"], new["scopes"]) == ("ci", "why", ["api"])
        assert new["expires_at"] is None
        assert user.holding(new["token"]).get("/user").status_code == 200
        assert user.holding(old.secret).get("/user").status_code == 401
        [event] = events("token.rotated")
        assert event.data == {"user_id": alice.id, "new_token_id": new["id"]}

    def test_keeps_an_end_for_what_had_one(
        self, user: Api, store: Store, alice: UserRecord
    ) -> None:
        old = make_token(store, alice, expires_on=date(2026, 12, 1))
        new = user.post(f"{TOKENS}/{old.record.id}/rotate").json
        assert new["expires_at"] == (START.date() + timedelta(days=7)).isoformat()

    def test_takes_a_wanted_end(self, user: Api, store: Store, alice: UserRecord) -> None:
        old = make_token(store, alice)
        path = f"{TOKENS}/{old.record.id}/rotate"
        assert user.post(path, data={"expires_at": "2026-04-01"}).json["expires_at"] == "2026-04-01"

    def test_works_on_an_expired_one_through_another(
        self, user: Api, store: Store, alice: UserRecord, clock: ManualClock
    ) -> None:
        old = make_token(store, alice, expires_on=date(2026, 3, 11))
        clock.advance(seconds=12 * 3600)
        assert user.post(f"{TOKENS}/{old.record.id}/rotate").status_code == 200

    def test_is_400_for_a_revoked_one_and_spares_its_successors(
        self, user: Api, store: Store, alice: UserRecord
    ) -> None:
        old = make_token(store, alice)
        new = user.post(f"{TOKENS}/{old.record.id}/rotate").json
        answer = user.post(f"{TOKENS}/{old.record.id}/rotate")
        assert answer.status_code == 400
        assert answer.json == {"message": "400 Bad request - Token already revoked"}
        assert user.holding(new["token"]).get("/user").status_code == 200

    @pytest.mark.parametrize(
        ("day", "status", "body"),
        [
            ("2026-03-10", 400, {"error": "expires_at is invalid"}),
            ("2020-01-01", 400, {"error": "expires_at is invalid"}),
            ("junk", 400, {"error": "expires_at is invalid"}),
            ("2027-03-11", 422, {"message": "Expiration date must be before 2027-03-10"}),
        ],
    )
    def test_refuses_a_wrong_end_and_changes_nothing(
        self,
        user: Api,
        store: Store,
        alice: UserRecord,
        day: str,
        status: int,
        body: dict[str, str],
    ) -> None:
        old = make_token(store, alice)
        answer = user.post(f"{TOKENS}/{old.record.id}/rotate", json={"expires_at": day})
        assert (answer.status_code, answer.json) == (status, body)
        assert user.holding(old.secret).get("/user").status_code == 200

    @pytest.mark.parametrize("token_id", ["1", "999"])
    def test_is_401_for_what_is_not_ones_own(self, admin: Api, user: Api, token_id: str) -> None:
        assert user.post(f"{TOKENS}/{token_id}/rotate").status_code == 401

    def test_is_404_for_an_admin_and_an_unknown_one(self, admin: Api) -> None:
        assert admin.post(f"{TOKENS}/999/rotate").json == {"message": "404 Not Found"}

    def test_is_400_for_an_id_that_is_no_number(self, admin: Api) -> None:
        assert admin.post(f"{TOKENS}/junk/rotate").json == {"error": "id is invalid"}

    def test_is_refused_to_an_impersonation_token(
        self, anonymous: Api, store: Store, alice: UserRecord
    ) -> None:
        plain = make_token(store, alice)
        hidden = anonymous.holding(make_token(store, alice, kind=TokenKind.IMPERSONATION).secret)
        answer = hidden.post(f"{TOKENS}/{plain.record.id}/rotate")
        assert (answer.status_code, answer.json) == (403, {"message": "403 Forbidden"})

    def test_hands_out_no_sudo_to_a_token_without_it(
        self, anonymous: Api, store: Store, root: UserRecord
    ) -> None:
        strong = make_token(store, root, ("api", "sudo"))
        weak = anonymous.holding(make_token(store, root).secret)
        answer = weak.post(f"{TOKENS}/{strong.record.id}/rotate")
        assert (answer.status_code, answer.json["scope"]) == (403, "sudo")
        assert anonymous.holding(strong.secret).get("/user").status_code == 200


class TestReuse:
    def rotated(
        self, user: Api, store: Store, clock: ManualClock, alice: UserRecord
    ) -> tuple[NewToken, str, str]:
        """Return a token, and the secrets of its successor and of that one's."""
        first = make_token(store, alice)
        second = user.holding(first.secret).post(f"{TOKENS}/self/rotate").json["token"]
        third = user.holding(second).post(f"{TOKENS}/self/rotate").json["token"]
        # Whatever begins within the moment of a rotation came second, and is no reuse.
        clock.advance(seconds=1)
        return first, second, third

    @pytest.mark.parametrize("target", ["self", "its own id", "another id"])
    def test_revokes_the_descendants_of_a_revoked_token_that_rotates(
        self,
        user: Api,
        store: Store,
        clock: ManualClock,
        alice: UserRecord,
        events: Callable[[str], list[EventRecord]],
        target: str,
    ) -> None:
        first, _, third = self.rotated(user, store, clock, alice)
        path = {"self": "self", "its own id": str(first.record.id)}.get(target, "999")
        answer = user.holding(first.secret).post(f"{TOKENS}/{path}/rotate")
        assert answer.status_code == 401
        assert answer.json["error_description"].startswith("Token was revoked.")
        assert user.holding(third).get("/user").status_code == 401
        assert user.get("/user").status_code == 200
        assert [event.token_id for event in events("token.reused")] == [first.record.id]

    def test_does_not_care_about_other_uses_of_a_revoked_token(
        self, user: Api, store: Store, clock: ManualClock, alice: UserRecord
    ) -> None:
        first, second, third = self.rotated(user, store, clock, alice)
        for dead in (first.secret, second):
            assert user.holding(dead).get(f"{TOKENS}/self").status_code == 401
            assert user.holding(dead).post("/user/personal_access_tokens").status_code == 401
        assert user.holding(third).get("/user").status_code == 200
