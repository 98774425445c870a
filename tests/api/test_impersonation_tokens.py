"""Impersonation tokens: for admins alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from werkzeug.http import http_date

from tests.api.conftest import Api, ids
from tests.conftest import START, ManualClock
from tests.factories import make_token, make_user
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import EventRecord, NewToken, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

NOT_FOUND = {"message": "404 Impersonation Token Not Found"}


@pytest.fixture
def path(alice: UserRecord) -> str:
    return f"/users/{alice.id}/impersonation_tokens"


@pytest.fixture
def hidden(store: Store, alice: UserRecord) -> NewToken:
    return make_token(store, alice, kind=TokenKind.IMPERSONATION, expires_on=date(2026, 4, 1))


def test_are_made_to_act_as_the_user(
    admin: Api, path: str, alice: UserRecord, events: Callable[[str], list[EventRecord]]
) -> None:
    wanted = {"name": "help", "scopes": ["api"], "expires_at": "2026-04-01", "description": "d"}
    answer = admin.post(path, json=wanted)
    assert answer.status_code == 201, answer.text
    assert {key: answer.json[key] for key in wanted} == wanted
    assert (answer.json["impersonation"], answer.json["user_id"]) == (True, alice.id)
    assert answer.json["token"].startswith("tsi_")
    assert admin.holding(answer.json["token"]).get("/user").json["username"] == "alice"
    event = events("token.created")[-1]
    assert (event.actor, event.data["kind"]) == ("root", "impersonation")


@pytest.mark.parametrize(
    ("wanted", "status", "body"),
    [
        ({}, 400, {"error": "name is missing"}),
        ({"name": "x"}, 400, {"message": {"scopes": ["can't be blank"]}}),
        ({"name": "x", "scopes": []}, 400, {"message": {"scopes": ["can't be blank"]}}),
        (
            {"name": "x", "scopes": ["junk"]},
            400,
            {"message": {"scopes": ["can only contain available scopes"]}},
        ),
        ({"name": "x", "scopes": ["sudo"]}, 400, {"error": "scopes does not have a valid value"}),
        ({"name": "", "scopes": ["api"]}, 400, {"message": {"name": ["is invalid"]}}),
        (
            {"name": "x", "scopes": ["api"], "description": "x" * 256},
            400,
            {"message": {"description": ["is invalid"]}},
        ),
        (
            {"name": "x", "scopes": ["api"], "expires_at": "2026-03-10"},
            400,
            {"error": "expires_at is invalid"},
        ),
        (
            {"name": "x", "scopes": ["api"], "expires_at": "2027-03-11"},
            422,
            {"message": "Expiration date must be before 2027-03-10"},
        ),
    ],
)
def test_refuses_what_is_wrong_and_makes_nothing(
    admin: Api, path: str, wanted: dict[str, Any], status: int, body: dict[str, Any]
) -> None:
    answer = admin.post(path, json=wanted)
    assert (answer.status_code, answer.json) == (status, body)
    assert ids(admin.get(path)) == []


def test_are_listed_by_state(admin: Api, path: str, store: Store, alice: UserRecord) -> None:
    make_token(store, alice)
    alive, dead = (make_token(store, alice, kind=TokenKind.IMPERSONATION) for _ in range(2))
    tokens.revoke(store, COMMAND_LINE, dead.record.id)
    other = make_user(store, "bob")
    make_token(store, other, kind=TokenKind.IMPERSONATION)
    both = [alive.record.id, dead.record.id]
    assert ids(admin.get(path)) == ids(admin.get(f"{path}?state=all")) == both
    assert ids(admin.get(f"{path}?state=active")) == [alive.record.id]
    assert ids(admin.get(f"{path}?state=inactive")) == [dead.record.id]
    answer = admin.get(f"{path}?state=junk")
    assert (answer.status_code, answer.json) == (
        400,
        {"error": "state does not have a valid value"},
    )
    assert admin.get(f"{path}?per_page=1").headers["X-Total"] == "2"


def test_are_read_with_the_scope_read_user(
    anonymous: Api, store: Store, root: UserRecord, path: str, hidden: NewToken
) -> None:
    reader = anonymous.holding(make_token(store, root, ("read_user",)).secret)
    one = reader.get(f"{path}/{hidden.record.id}")
    assert (one.status_code, one.json["impersonation"]) == (200, True)
    assert ids(reader.get(path)) == [hidden.record.id]
    assert reader.delete(f"{path}/{hidden.record.id}").json["scope"] == "read_user api read_api"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_other_token_is_found_there(
    admin: Api, store: Store, alice: UserRecord, bob: UserRecord, path: str, method: str
) -> None:
    plain = make_token(store, alice).record.id
    others = make_token(store, bob, kind=TokenKind.IMPERSONATION).record.id
    for token_id in (plain, others, 999, "9" * 30):
        answer = admin.call(method, f"{path}/{token_id}")
        assert (answer.status_code, answer.json) == (404, NOT_FOUND)


@pytest.mark.parametrize(
    ("method", "rest"), [("GET", ""), ("POST", ""), ("GET", "/1"), ("DELETE", "/1")]
)
def test_is_404_for_nobodys(admin: Api, method: str, rest: str) -> None:
    wanted = {"name": "x", "scopes": ["api"]} if method == "POST" else None
    answer = admin.call(method, f"/users/999/impersonation_tokens{rest}", json=wanted)
    assert (answer.status_code, answer.json) == (404, {"message": "404 User Not Found"})


@pytest.mark.parametrize(
    ("method", "rest"), [("GET", ""), ("POST", ""), ("GET", "/1"), ("DELETE", "/1")]
)
def test_are_closed_to_all_but_admins_before_parameters_count(
    anonymous: Api, user: Api, path: str, method: str, rest: str
) -> None:
    assert anonymous.call(method, f"{path}{rest}").json == {"message": "401 Unauthorized"}
    answer = user.call(method, f"{path}{rest}?state=junk")
    assert (answer.status_code, answer.json) == (403, {"message": "403 Forbidden"})


class TestRevoke:
    def test_ends_it_and_is_idempotent(self, admin: Api, path: str, hidden: NewToken) -> None:
        for _ in range(2):
            assert admin.delete(f"{path}/{hidden.record.id}").status_code == 204
        assert admin.holding(hidden.secret).get("/user").status_code == 401

    def test_is_412_when_it_was_changed_since(
        self, admin: Api, path: str, hidden: NewToken, clock: ManualClock
    ) -> None:
        clock.advance(seconds=60)
        one = f"{path}/{hidden.record.id}"
        before = {"If-Unmodified-Since": http_date(START - timedelta(seconds=1))}
        answer = admin.delete(one, headers=before)
        assert (answer.status_code, answer.json) == (412, {"message": "412 Precondition Failed"})
        assert admin.holding(hidden.secret).get("/user").status_code == 200
        same = {"If-Unmodified-Since": http_date(START)}
        assert admin.delete(one, headers=same).status_code == 204

    def test_is_400_for_the_presented_one(
        self, anonymous: Api, store: Store, root: UserRecord
    ) -> None:
        own = make_token(store, root, kind=TokenKind.IMPERSONATION)
        path = f"/users/{root.id}/impersonation_tokens/{own.record.id}"
        answer = anonymous.holding(own.secret).delete(path)
        assert answer.status_code == 400
        assert answer.json == {"message": "400 Bad request - Not permitted to revoke"}
