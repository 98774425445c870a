"""Attacks that once worked, each with what it must come to."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.api.conftest import Api
from tests.conftest import START
from tests.factories import make_token
from tokensrv.db import Store
from tokensrv.services.directory import user_states
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

TOKENS = "/personal_access_tokens"


@pytest.mark.parametrize(
    "scopes", [["sudo"], ["sudo", "sudo"], "sudo,sudo", ["sudo", " sudo"], ["sudo,sudo"]]
)
def test_fewer_scopes_never_make_a_sudo_more_powerful(
    admin: Api, store: Store, root: UserRecord, scopes: object
) -> None:
    """A token that holds sudo alone acts with ``api``, so it is no narrowing of this one."""
    token = make_token(store, root, ("read_user", "sudo"))
    answer = admin.patch(f"{TOKENS}/{token.record.id}", json={"scopes": scopes})
    assert answer.status_code == 400
    assert tokens.get(store, None, token.record.id).scopes == ("read_user", "sudo")


def test_a_demoted_admin_cannot_save_his_sudo_in_a_successor(
    anonymous: Api, store: Store, root: UserRecord, alice: UserRecord
) -> None:
    user_states.promote(store, COMMAND_LINE, alice.id)
    token = make_token(store, alice, ("api", "sudo"))
    user_states.demote(store, COMMAND_LINE, alice.id)
    answer = anonymous.holding(token.secret).post(f"{TOKENS}/self/rotate")
    assert answer.json["scopes"] == ["api"]


def test_a_demoted_admins_token_of_nothing_but_sudo_is_not_rotated(
    admin: Api, store: Store, root: UserRecord, alice: UserRecord
) -> None:
    user_states.promote(store, COMMAND_LINE, alice.id)
    token = make_token(store, alice, ("sudo",))
    user_states.demote(store, COMMAND_LINE, alice.id)
    assert admin.post(f"{TOKENS}/{token.record.id}/rotate").status_code == 403
    assert not tokens.get(store, None, token.record.id).is_revoked


def test_an_admins_token_with_an_end_makes_none_without_for_himself(
    anonymous: Api, store: Store, root: UserRecord
) -> None:
    tomorrow = START.date() + timedelta(days=1)
    brief = anonymous.holding(make_token(store, root, ("api",), expires_on=tomorrow).secret)
    path = f"/users/{root.id}/personal_access_tokens"
    made = brief.post(path, json={"name": "n", "scopes": ["api"]})
    assert made.json["expires_at"] == tomorrow.isoformat()
    late = {"name": "n", "scopes": ["api"], "expires_at": "2026-12-01"}
    assert brief.post(path, json=late).status_code == 422
    endless = make_token(store, root, ("api",)).record.id
    rotated = brief.post(f"{TOKENS}/{endless}/rotate")
    assert rotated.json["expires_at"] == tomorrow.isoformat()


@pytest.mark.parametrize(
    "part",
    ["form-data", "form-data; filename=x", "form-data; a=b", ""],
    ids=["no name", "a file without one", "another parameter", "nothing"],
)
def test_a_part_without_a_name_is_no_fault_of_ours(anonymous: Api, part: str) -> None:
    body = f"--X\r\nContent-Disposition: {part}\r\n\r\nx\r\n--X--\r\n"
    answer = anonymous.get("/user", data=body, content_type="multipart/form-data; boundary=X")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param('{"sudo":"alice"}', "application/x-www-form-urlencoded", id="JSON as a form"),
        pytest.param(
            '--X\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--X--\r\n'
            '--X\r\nContent-Disposition: form-data; name="sudo"\r\n\r\nalice\r\n',
            "multipart/form-data; boundary=X",
            id="a part after the end",
        ),
    ],
)
def test_a_sudo_that_is_easily_overlooked_is_refused(
    admin: Api, body: str, content_type: str
) -> None:
    assert admin.get("/user", data=body, content_type=content_type).status_code == 400


def test_a_reason_that_the_server_could_not_decode_is_no_reason(
    admin: Api, alice: UserRecord
) -> None:
    """Granian hands over a header with other letters than ASCII as an empty one."""
    answer = admin.get("/user", headers={"Sudo": "alice", "Sudo-Reason": ""})
    assert (answer.status_code, answer.json) == (400, {"error": "sudo_reason is missing"})


def test_a_huge_audience_costs_nothing(user: Api, store: Store) -> None:
    wanted = {"name": "n", "scopes": "read_user", "audience": ["x"] * 50_000}
    assert user.post("/user/personal_access_tokens", json=wanted).status_code == 400
    wanted["audience"] = [str(number) for number in range(50_000)]
    answer = user.post("/user/personal_access_tokens", json=wanted)
    assert (answer.status_code, answer.json) == (400, {"error": "audience is invalid"})


def test_a_scope_that_is_asked_for_again_and_again_is_named_once(
    anonymous: Api, store: Store, root: UserRecord, alice: UserRecord
) -> None:
    plain = anonymous.holding(make_token(store, root, ("api",)).secret)
    answer = plain.post(
        f"/users/{root.id}/personal_access_tokens", json={"name": "n", "scopes": ["sudo"] * 1000}
    )
    assert answer.status_code == 403
    assert answer.json["scope"] == "sudo"


@pytest.mark.parametrize("path", [TOKENS, "/users"])
def test_a_search_for_a_book_is_refused(admin: Api, path: str) -> None:
    answer = admin.get(path, data={"search": "x" * 60_000})
    assert (answer.status_code, answer.json) == (400, {"error": "search is invalid"})


def test_a_secret_under_an_unknown_name_does_not_come_back_in_links(
    admin: Api, store: Store, alice: UserRecord
) -> None:
    secret = make_token(store, alice).secret
    answer = admin.get(f"{TOKENS}?token={secret}")
    assert secret not in answer.headers["Link"]


def test_two_slashes_are_not_one(anonymous: Api) -> None:
    assert anonymous.client.get("//api/v4/user").status_code == 404
