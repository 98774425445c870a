"""`/tokensrv/rules`: who may use which repositories, as admins say it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import Api, ids
from tests.factories import make_admin, make_token
from tokensrv.db import Store
from tokensrv.services import repositories
from tokensrv.services.directory import users
from tokensrv.services.records import EventRecord, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

PATH = "/tokensrv/rules"
MEMBERS = ["id", "prefix", "user", "user_id", "access", "created_at"]
RULE = {"prefix": "team/app", "user": "alice", "access": "write"}

Events = Callable[[str], list[EventRecord]]


def test_a_rule_is_made_by_an_admin_and_counts_at_once(
    admin: Api, store: Store, alice: UserRecord, bob: UserRecord, events: Events
) -> None:
    answer = admin.post(PATH, json=RULE | {"prefix": "/team/app.git"})
    assert (answer.status_code, list(answer.json)) == (201, MEMBERS)
    assert answer.json == {
        "id": answer.json["id"],
        "prefix": "team/app",
        "user": "alice",
        "user_id": alice.id,
        "access": "write",
        "created_at": "2026-03-10T12:00:00.000Z",
    }
    assert admin.get(PATH).json == [answer.json]
    assert repositories.allows(store, alice.id, "team/app", writes=True)
    assert not repositories.allows(store, bob.id, "team/app", writes=False)
    (event,) = events("repository_rule.added")
    assert (event.actor, event.data["user_id"]) == ("root", alice.id)


def test_the_same_prefix_and_user_again_replaces_the_access(admin: Api, alice: UserRecord) -> None:
    first = admin.post(PATH, json=RULE).json
    again = admin.post(PATH, data={"prefix": "team/app", "user": alice.id, "access": "read"})
    assert (again.status_code, again.json) == (201, first | {"access": "read"})
    assert ids(admin.get(PATH)) == [first["id"]]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        pytest.param({"prefix": None}, "prefix is invalid", id="null"),
        pytest.param({"prefix": 7}, "prefix is invalid", id="a number"),
        pytest.param({"prefix": ""}, "prefix is invalid", id="no prefix"),
        pytest.param({"prefix": "a/../b"}, "prefix is invalid", id="dots"),
        pytest.param({"prefix": "a\0"}, "prefix is invalid", id="NUL"),
        pytest.param({"user": 7}, "user is invalid", id="user"),
        pytest.param({"access": "admin"}, "access does not have a valid value", id="access"),
    ],
)
def test_what_makes_no_rule_is_refused_by_name(
    admin: Api, alice: UserRecord, changed: dict[str, Any], problem: str
) -> None:
    answer = admin.post(PATH, json=RULE | changed)
    assert (answer.status_code, answer.json) == (400, {"error": problem})
    assert admin.get(PATH).json == []


@pytest.mark.parametrize("name", list(RULE))
def test_everything_of_a_rule_must_be_said(admin: Api, alice: UserRecord, name: str) -> None:
    answer = admin.post(PATH, json={key: RULE[key] for key in RULE if key != name})
    assert (answer.status_code, answer.json) == (400, {"error": f"{name} is missing"})


@pytest.mark.parametrize("user", ["carol", "77", "", "9" * 30])
def test_a_rule_is_for_somebody_who_exists(admin: Api, user: str) -> None:
    answer = admin.post(PATH, json=RULE | {"user": user})
    assert (answer.status_code, answer.json) == (404, {"message": "404 User Not Found"})


def test_rules_are_listed_in_pages(admin: Api, alice: UserRecord) -> None:
    made = [admin.post(PATH, json=RULE | {"prefix": name}).json["id"] for name in "cba"]
    answer = admin.get(f"{PATH}?per_page=2")
    assert ids(answer) == made[:2]
    assert (answer.headers["X-Total"], answer.headers["X-Next-Page"]) == ("3", "2")
    assert ids(admin.get(f"{PATH}?per_page=2&page=2")) == made[2:]
    far = admin.get(f"{PATH}?per_page=100&page=502")
    assert (far.status_code, "type Rule" in far.text) == (405, True)


def test_the_rule_of_a_deleted_user_stays_and_is_nobodys(
    admin: Api, store: Store, alice: UserRecord, bob: UserRecord
) -> None:
    made = admin.post(PATH, json=RULE).json
    users.delete(store, COMMAND_LINE, alice.id)
    assert admin.get(PATH).json == [made | {"user": None, "user_id": None}]
    assert not repositories.allows(store, bob.id, "team/app", writes=False)


def test_a_rule_is_removed(admin: Api, alice: UserRecord, events: Events) -> None:
    made = admin.post(PATH, json=RULE).json
    answer = admin.delete(f"{PATH}/{made['id']}")
    assert (answer.status_code, answer.text) == (204, "")
    assert admin.get(PATH).json == []
    (event,) = events("repository_rule.removed")
    assert event.data == {"user_id": alice.id, "prefix": "team/app", "access": "write"}
    for unknown in (made["id"], 2**63, 10**30):
        gone = admin.delete(f"{PATH}/{unknown}")
        assert (gone.status_code, "Not Found" in gone.text) == (404, True)


def test_nothing_of_it_is_done_as_somebody_else(
    with_settings: Callable[..., Api], store: Store, root: UserRecord, alice: UserRecord
) -> None:
    make_admin(store, "chief")
    api = with_settings(make_token(store, root, ("api", "sudo")).secret, sudo_admin_targets=True)
    rule = api.post(PATH, json=RULE).json
    sudo = {"Sudo": "chief"}
    assert api.get(PATH, headers=sudo).json == [rule]
    for method, path in (("POST", PATH), ("DELETE", f"{PATH}/{rule['id']}")):
        answer = api.call(method, path, json=RULE, headers=sudo)
        assert answer.status_code == 403
        assert answer.json == {"message": "403 Forbidden - Not allowed while using sudo"}
    assert api.get(PATH).json == [rule]
