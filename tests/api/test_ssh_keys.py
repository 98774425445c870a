"""SSH keys over the API, in GitLab's shapes."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.api.conftest import Api, ids
from tests.factories import make_token
from tests.services.conftest import contents
from tests.ssh_keys import make_ssh_key, new_line
from tokensrv.db import Store
from tokensrv.services.records import UserRecord

OWN = "/user/keys"
NOT_FOUND = {"message": "404 Key Not Found"}
BLANK_TITLE = {"message": {"title": ["can't be blank"]}}


def test_a_key_is_added_shown_listed_and_removed(user: Api) -> None:
    line = new_line("alice@laptop")
    made = user.post(OWN, json={"title": "laptop", "key": line, "expires_at": "2026-04-01"})
    assert made.status_code == 201, made.text
    assert made.json == {
        "id": made.json["id"],
        "title": "laptop",
        "created_at": "2026-03-10T12:00:00.000Z",
        "expires_at": "2026-04-01T00:00:00.000Z",
        "key": line.removesuffix(" alice@laptop"),
        "usage_type": "auth_and_signing",
    }
    path = f"{OWN}/{made.json['id']}"
    assert user.get(path).json == made.json
    assert user.get(OWN).json == [made.json]
    assert user.delete(path).status_code == 204
    assert (user.get(path).status_code, user.get(path).json) == (404, NOT_FOUND)
    assert user.get(OWN).json == []


def test_a_key_may_do_without_a_title_and_without_an_end(user: Api) -> None:
    made = user.post(OWN, json={"key": new_line("alice@laptop")})
    assert (made.json["title"], made.json["expires_at"]) == ("alice@laptop", None)


def test_a_moment_is_cut_to_its_day(user: Api) -> None:
    wanted = {"key": new_line(), "expires_at": "2026-04-01T18:30:00.000Z", "usage_type": "auth"}
    assert user.post(OWN, json=wanted).json["expires_at"] == "2026-04-01T00:00:00.000Z"


def test_admins_do_the_same_for_a_user(admin: Api, user: Api, alice: UserRecord) -> None:
    path = f"/users/{alice.id}/keys"
    made = admin.post(path, json={"title": "laptop", "key": new_line()})
    assert made.status_code == 201, made.text
    one = f"{path}/{made.json['id']}"
    assert admin.get(one).json == user.get(f"{OWN}/{made.json['id']}").json == made.json
    assert admin.get(path).json == [made.json]
    assert admin.get(OWN).json == []
    assert admin.delete(one).status_code == 204
    assert user.get(OWN).json == []


def test_lists_have_pages(store: Store, user: Api, alice: UserRecord) -> None:
    keys = [make_ssh_key(store, alice).id for _ in range(3)]
    answer = user.get(f"{OWN}?per_page=2&page=2")
    assert ids(answer) == keys[2:]
    assert (answer.headers["X-Total"], answer.headers["X-Page"]) == ("3", "2")
    answer = user.get(f"{OWN}?per_page=1&page=50002")
    assert answer.status_code == 405


@pytest.mark.parametrize(
    ("wanted", "status", "body"),
    [
        pytest.param({}, 400, {"error": "key is missing"}, id="no key"),
        pytest.param({"key": ""}, 400, {"message": {"key": ["can't be blank"]}}, id="a blank one"),
        pytest.param({"key": new_line("")}, 400, BLANK_TITLE, id="no title at all"),
        pytest.param({"key": 7}, 400, {"error": "key is invalid"}, id="a number"),
        pytest.param(
            {"key": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE"},
            400,
            {"message": {"key": ["is a private key; give the public half alone"]}},
            id="a private key",
        ),
        pytest.param(
            {"key": new_line(), "usage_type": "signing"},
            400,
            {"error": "usage_type does not have a valid value"},
            id="one that shall not sign in",
        ),
        pytest.param(
            {"key": new_line(), "expires_at": "soon"},
            400,
            {"error": "expires_at is invalid"},
            id="no day",
        ),
        pytest.param(
            {"key": new_line(), "expires_at": "2026-03-10"},
            400,
            {"error": "expires_at is invalid"},
            id="today",
        ),
        pytest.param(
            {"key": new_line(), "expires_at": "2027-03-11"},
            422,
            {"message": "Expiration date must be before 2027-03-10"},
            id="too late",
        ),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_added(
    store: Store, user: Api, wanted: dict[str, Any], status: int, body: dict[str, Any]
) -> None:
    before = contents(store)
    answer = user.post(OWN, json=wanted)
    assert (answer.status_code, answer.json) == (status, body)
    assert contents(store) == before


def test_a_key_that_is_there_is_refused(store: Store, user: Api, root: UserRecord) -> None:
    line = new_line()
    make_ssh_key(store, root, line)
    answer = user.post(OWN, json={"key": line})
    taken = ["has already been taken"]
    assert answer.status_code == 400
    assert answer.json == {"message": {"fingerprint": taken, "key": taken}}


@pytest.mark.parametrize("name", ["{id}", "root", "ROOT"])
def test_anybody_may_read_the_public_keys_of_a_user_by_id_or_name(
    store: Store, user: Api, root: UserRecord, name: str
) -> None:
    key = make_ssh_key(store, root)
    answer = user.get(f"/users/{name.format(id=root.id)}/keys")
    assert (answer.status_code, [one["id"] for one in answer.json]) == (200, [key.id])


@pytest.mark.parametrize("name", ["nobody", "99", "9" * 30])
def test_nobody_has_no_keys(user: Api, name: str) -> None:
    answer = user.get(f"/users/{name}/keys")
    assert (answer.status_code, answer.json) == (404, {"message": "404 User Not Found"})


def test_a_token_with_a_date_adds_nothing_beyond_it(
    store: Store, user: Api, alice: UserRecord
) -> None:
    brief = user.holding(make_token(store, alice, expires_on=date(2026, 3, 12)).secret)
    assert brief.post(OWN, json={"key": new_line()}).json["expires_at"].startswith("2026-03-12")
    answer = brief.post(OWN, json={"key": new_line(), "expires_at": "2026-03-13"})
    expected = {"message": "Expiration date must be before 2026-03-12"}
    assert (answer.status_code, answer.json) == (422, expected)


def test_read_user_reads_and_no_more(store: Store, user: Api, alice: UserRecord) -> None:
    key = make_ssh_key(store, alice)
    reading = user.holding(make_token(store, alice, ("read_user",)).secret)
    assert ids(reading.get(OWN)) == [key.id]
    for answer in (
        reading.post(OWN, json={"key": new_line()}),
        reading.delete(f"{OWN}/{key.id}"),
    ):
        assert (answer.status_code, answer.json["error"]) == (403, "insufficient_scope")
    assert ids(user.get(OWN)) == [key.id]


def test_under_sudo_keys_are_seen_and_removed_but_not_added(
    store: Store, admin: Api, alice: UserRecord
) -> None:
    key, sudo = make_ssh_key(store, alice), {"Sudo": "alice"}
    assert ids(admin.get(OWN, headers=sudo)) == [key.id]
    for path in (OWN, f"/users/{alice.id}/keys"):
        answer = admin.post(path, json={"key": new_line()}, headers=sudo)
        expected = {"message": "403 Forbidden - Not allowed while using sudo"}
        assert (answer.status_code, answer.json) == (403, expected)
    assert admin.delete(f"{OWN}/{key.id}", headers=sudo).status_code == 204


def test_what_belongs_to_others_is_not_there(
    store: Store, admin: Api, user: Api, alice: UserRecord, bob: UserRecord
) -> None:
    key = make_ssh_key(store, bob)
    for api, path in (
        (user, f"{OWN}/{key.id}"),
        (admin, f"/users/{alice.id}/keys/{key.id}"),
        (user, f"{OWN}/{'9' * 30}"),
    ):
        for answer in (api.get(path), api.delete(path)):
            assert (answer.status_code, answer.json) == (404, NOT_FOUND)
    for answer in (admin.get("/users/999/keys"), admin.delete(f"/users/999/keys/{key.id}")):
        assert (answer.status_code, answer.json) == (404, {"message": "404 User Not Found"})
    assert ids(admin.get(f"/users/{bob.id}/keys")) == [key.id]
