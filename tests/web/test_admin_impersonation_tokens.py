"""Impersonation tokens: made and revoked by administrators, unseen by whom they act as."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from tests.conftest import START
from tests.factories import make_token, make_user
from tests.services.conftest import contents, events_of
from tests.web.conftest import Visitor
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.services.records import UserRecord

FIELD = "Your new impersonation token"
DAY = START.date().replace(month=4).isoformat()
WISH = {"name": "a case", "scopes": "read_api", "expires_at": DAY, "submission": "one"}


@pytest.fixture
def user(store: Store) -> UserRecord:
    return make_user(store, "bob")


def _list(user: UserRecord) -> str:
    return f"/admin/users/{user.id}/impersonation_tokens"


def _secret(page: str) -> str:
    [secret] = set(re.findall(r'value="(tsi_\w+)"', page))
    return secret


def test_a_token_is_shown_once_and_acts_as_its_user(
    client: FlaskClient, root: Visitor, user: UserRecord
) -> None:
    assert "No impersonation tokens" in root.text(_list(user))
    answer = root.post(_list(user), **WISH)
    assert answer.status_code == 200
    assert FIELD in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    secret = _secret(answer.text)
    found = client.get("/api/v4/user", headers={"PRIVATE-TOKEN": secret})
    assert found.get_json()["username"] == "bob"
    page = root.text(_list(user))
    assert "a case" in page
    assert secret not in page


def test_its_user_does_not_see_it(store: Store, alice: Visitor) -> None:
    assert alice.user is not None
    token = make_token(store, alice.user, kind=TokenKind.IMPERSONATION, name="a secret case").record
    for path in ("/-/user_settings/personal_access_tokens?state=all", _list(alice.user)):
        assert "a secret case" not in alice.get(path).text
    path = f"/-/user_settings/personal_access_tokens/{token.id}/revoke"
    assert alice.post(path).status_code == 404


def test_a_form_that_is_sent_twice_makes_one(store: Store, root: Visitor, user: UserRecord) -> None:
    assert root.post(_list(user), **WISH).status_code == 200
    again = root.post(_list(user), **WISH)
    assert again.status_code == 409
    assert "one token was made" in again.text
    assert len(events_of(store, "token.created")) == 1


WRONG = [
    ("name", ""),
    ("scopes", ""),
    ("scopes", "sudo"),
    ("expires_at", "2026-03-10"),
    ("expires_at", "2036-03-10"),
    ("expires_at", "soon"),
]


def test_what_is_wrong_stands_beside_its_field(
    store: Store, root: Visitor, user: UserRecord
) -> None:
    before = contents(store)
    for field, value in WRONG:
        answer = root.post(_list(user), **WISH | {field: value})
        assert answer.status_code == 422, (field, value)
        assert f'id="{field}-error"' in answer.text
    assert contents(store) == before


def test_a_token_is_revoked_with_a_reason(store: Store, root: Visitor, user: UserRecord) -> None:
    token = make_token(store, user, kind=TokenKind.IMPERSONATION, name="a case").record
    path = f"{_list(user)}/{token.id}/revoke"
    assert "Revoke this impersonation token?" in root.text(path)
    answer = root.post(path, reason="done")
    assert (answer.status_code, answer.headers["Location"]) == (303, _list(user))
    [event] = events_of(store, "token.revoked")
    assert (event.actor, event.token_id, event.reason) == ("root", token.id, "done")
    page = root.text(_list(user))
    assert "Revoked" in page
    assert path not in page


def test_no_other_token_is_one_of_them(store: Store, root: Visitor, user: UserRecord) -> None:
    assert root.user is not None
    others = [
        make_token(store, user).record.id,
        make_token(store, root.user, kind=TokenKind.IMPERSONATION).record.id,
        10**17,
    ]
    before = contents(store)
    for token_id in others:
        path = f"{_list(user)}/{token_id}/revoke"
        assert root.get(path).status_code == root.post(path).status_code == 404
    assert contents(store) == before


def test_an_admins_own_scopes_are_offered_for_admins_alone(root: Visitor, user: UserRecord) -> None:
    assert root.user is not None
    assert 'value="sudo"' not in root.text(f"{_list(user)}/new")
    assert 'value="sudo"' in root.text(f"{_list(root.user)}/new")
