"""Users, as administrators find, make and change them."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from tests.conftest import ManualClock
from tests.factories import make_admin, make_token, make_totp, make_user
from tests.services.conftest import contents, events_of
from tests.web.conftest import Visitor
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind, UserState
from tokensrv.services.account import resets
from tokensrv.services.directory import user_states, users
from tokensrv.services.directory.users import UserChanges
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE, Origin
from tokensrv.web.admin.users.changes import CHANGES

USERS = "/admin/users"
SWITCH = {
    UserState.BLOCKED: user_states.block,
    UserState.DEACTIVATED: user_states.deactivate,
    UserState.BANNED: user_states.ban,
}
HOSTILE = "<img src=x onerror=alert(1)>\u202eevil =1+1"


def _names(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><a [^>]*><bdi>([^<]*)</bdi>', page)


@pytest.fixture
def people(store: Store, root: Visitor, clock: ManualClock) -> dict[str, UserRecord]:
    """Users of every kind; the last one is the newest."""
    found = {}
    for username in ("alice", "bob", "carol", "dave"):
        clock.advance(seconds=1)
        found[username] = make_user(store, username, name=f"{username.title()} Name")
    user_states.block(store, COMMAND_LINE, found["bob"].id)
    user_states.ban(store, COMMAND_LINE, found["carol"].id)
    make_totp(store, found["dave"])
    return found


FOUND = {
    "": ["dave", "carol", "bob", "alice", "root"],
    "search=ALI": ["alice"],
    "search=bob+name": ["bob"],
    "search=Dave@example.org": ["dave"],
    "state=blocked": ["bob"],
    "state=banned&state=active": ["carol"],
    "state=deactivated": [],
    "role=admins": ["root"],
    "two_factor=enabled": ["dave"],
    "two_factor=disabled&state=active": ["alice", "root"],
    "sort=username_asc&state=active": ["alice", "dave", "root"],
    "sort=name_desc&state=active": ["root", "dave", "alice"],
    # What nobody knows is as if it were not there.
    "sort=password_hash_asc&state=nosuch": ["dave", "carol", "bob", "alice", "root"],
}


@pytest.mark.usefixtures("people")
def test_users_are_found_by_what_the_address_says(root: Visitor) -> None:
    assert {query: _names(root.text(f"{USERS}?{query}")) for query in FOUND} == FOUND


def test_a_list_has_pages(store: Store, root: Visitor) -> None:
    for number in range(20):
        make_user(store, f"user{number:02}")
    first = root.text(f"{USERS}?sort=username_asc")
    assert "Page 1 · 21 in all" in first
    [following] = re.findall(r'rel="next" href="([^"]*)"', first)
    second = root.text(unescape(following))
    assert [*_names(first), *_names(second)] == ["root", *(f"user{n:02}" for n in range(20))]
    assert len(_names(root.text(f"{USERS}?per_page=50"))) == 21
    assert "There is no such page" in root.text(f"{USERS}?page=9")
    assert root.get(f"{USERS}?page=99999999").status_code == 404


def test_what_cannot_be_looked_for_is_said(root: Visitor) -> None:
    for query in ("search=%00", "search=" + "x" * 300, "page=-1", "per_page=ten"):
        answer = root.get(f"{USERS}?{query}")
        assert answer.status_code == 422, query
        assert 'class="error"' in answer.text or "page=" in query


def test_hostile_names_are_inert(store: Store, root: Visitor) -> None:
    user = make_user(store, "alice", name=HOSTILE, profile={"note": HOSTILE})
    for path in (
        USERS,
        f"{USERS}/{user.id}",
        f"{USERS}/{user.id}/edit",
        f"{USERS}/{user.id}/block",
    ):
        page = root.text(path)
        assert "<img" not in page
        assert "&lt;img src=x onerror=alert(1)&gt;\u202eevil" in page
    assert f"<bdi>{'&lt;img'}" in root.text(USERS)


NEW: dict[str, Any] = {"username": "Zoe", "email": "zoe@example.org", "name": "Zoë"}


def test_a_new_user_gets_a_link_with_which_he_sets_a_password(
    store: Store, root: Visitor, anybody: Visitor
) -> None:
    answer = root.post(f"{USERS}/new", **NEW)
    assert answer.status_code == 200
    [code] = re.findall(r'value="[^"]*/users/password/reset#([^"]+)"', answer.text)
    user = users.find(store, "zoe")
    assert user is not None
    assert (user.username, user.name, user.has_password, user.is_admin) == (
        "Zoe",
        "Zoë",
        False,
        False,
    )
    assert code not in root.text(f"{USERS}/{user.id}")
    resets.use(store, Origin(), code, "correct horse battery")
    assert users.get(store, user.id).has_password


@pytest.mark.parametrize("role", ["user", "admin"])
def test_a_new_user_can_wait_for_his_link(store: Store, root: Visitor, role: str) -> None:
    values = NEW | {"name": "", "role": role, "first_sign_in": "none", "note": "a note"}
    answer = root.post(f"{USERS}/new", **values)
    user = users.find(store, "zoe")
    assert user is not None
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{USERS}/{user.id}")
    assert (user.name, user.note, user.is_admin) == ("Zoe", "a note", role == "admin")
    assert contents(store)["password_reset"] == []
    assert "Zoe was created." in root.text(f"{USERS}/{user.id}")


WRONG = [
    ("username", "ROOT"),
    ("username", "a b"),
    ("username", ""),
    ("email", "root@example.org"),
    ("email", "nowhere"),
    ("name", "x" * 256),
    ("note", "x" * 2001),
]


def test_what_is_wrong_with_a_new_user_stands_beside_it(store: Store, root: Visitor) -> None:
    before = contents(store)
    for field, value in WRONG:
        answer = root.post(f"{USERS}/new", **NEW | {"note": "kept"} | {field: value})
        assert answer.status_code == 422, (field, value)
        assert f'id="{field}-error"' in answer.text
        assert ("kept" in answer.text) is (field != "note")
    assert contents(store) == before


def test_the_address_fills_the_form_in_and_makes_nothing(store: Store, root: Visitor) -> None:
    before = contents(store)
    assert 'value="zoe"' in root.text(f"{USERS}/new?username=zoe&role=admin")
    assert contents(store) == before


def test_a_user_is_shown_with_what_he_has(store: Store, root: Visitor, alice: Visitor) -> None:
    assert alice.user is not None
    make_token(store, alice.user)
    make_token(store, alice.user, kind=TokenKind.IMPERSONATION)
    page = root.text(f"{USERS}/{alice.user.id}")
    figures = re.findall(r"<strong>(\w+)</strong>\s*<span>([^<]*)", page)
    assert figures == [
        ("2", "Active tokens"),
        ("1", "Active impersonation tokens"),
        ("1", "Open sessions"),
        ("Off", "Two-factor authentication"),
    ]


def _offered(root: Visitor, user: UserRecord) -> set[str]:
    page = root.text(f"{USERS}/{user.id}")
    return set(re.findall(rf'action="{USERS}/{user.id}/(\w+)"', page))


POSSIBLE = {
    UserState.ACTIVE: {"block", "deactivate", "ban", "reset_link", "impersonate"},
    UserState.BLOCKED: {"unblock"},
    UserState.DEACTIVATED: {"activate", "block"},
    UserState.BANNED: {"unban"},
}


def test_only_what_is_possible_is_offered(store: Store, root: Visitor) -> None:
    for state, possible in POSSIBLE.items():
        user = make_user(store, f"user-{state}")
        if state in SWITCH:
            SWITCH[state](store, COMMAND_LINE, user.id)
        assert _offered(root, user) == possible | {"promote", "delete"}


def test_to_an_admin_nothing_is_offered_that_takes_his_own_power(
    store: Store, root: Visitor
) -> None:
    assert root.user is not None
    assert _offered(root, root.user) == set()
    other = make_admin(store, "other")
    make_totp(store, other)
    more = {"demote", "delete", "reset_link", "end_sessions", "reset_two_factor"}
    assert _offered(root, other) == more | {"block", "deactivate", "ban"}


EVENTS = {
    "end_sessions": "session.ended",
    "reset_two_factor": "second_factor.reset",
    "promote": "user.promoted",
    "demote": "user.demoted",
    "activate": "user.activated",
    "unblock": "user.unblocked",
    "unban": "user.unbanned",
    "deactivate": "user.deactivated",
    "block": "user.blocked",
    "ban": "user.banned",
}
BEFORE = {
    "activate": user_states.deactivate,
    "unblock": user_states.block,
    "unban": user_states.ban,
    "demote": user_states.promote,
}


def test_each_change_is_asked_about_and_then_made(store: Store, root: Visitor) -> None:
    assert CHANGES.keys() == EVENTS.keys()
    for name, change in CHANGES.items():
        user = make_user(store, f"for-{name}")
        make_totp(store, user)
        if name in BEFORE:
            BEFORE[name](store, COMMAND_LINE, user.id)
        address, before = f"{USERS}/{user.id}", contents(store)
        page = unescape(root.text(f"{address}/{name}"))
        assert change.question.format(name=user.username) in page
        assert contents(store) == before
        answer = root.post(f"{address}/{name}")
        assert (answer.status_code, answer.headers["Location"]) == (303, address)
        event = events_of(store)[-1]
        assert (event.action, event.actor) == (EVENTS[name], "root")
        assert event.data["username"] == user.username
        assert change.done.format(name=user.username) in root.text(address)


def test_what_a_user_loses_he_loses_at_once(store: Store, root: Visitor, alice: Visitor) -> None:
    assert alice.user is not None
    root.post(f"{USERS}/{alice.user.id}/block")
    assert alice.get("/-/user_settings/account").headers["Location"].startswith("/users/sign_in")
    root.post(f"{USERS}/{alice.user.id}/unblock")
    assert alice.get("/-/user_settings/account").status_code == 303


def test_a_refusal_has_its_own_page(store: Store, root: Visitor) -> None:
    user = make_user(store)
    user_states.ban(store, COMMAND_LINE, user.id)
    before = contents(store)
    for name, words in (("block", "cannot be blocked"), ("deactivate", "cannot be deactivated")):
        answer = root.post(f"{USERS}/{user.id}/{name}")
        assert answer.status_code == 403
        assert words in answer.text
    assert contents(store) == before


def test_nobody_does_it_to_himself(store: Store, root: Visitor) -> None:
    assert root.user is not None
    make_admin(store, "other")
    before = contents(store)
    for name in ("block", "deactivate", "ban", "demote", "delete"):
        answer = root.post(f"{USERS}/{root.user.id}/{name}", username="root")
        assert answer.status_code == 403, name
        assert "Not allowed for your own account" in answer.text
    assert contents(store) == before


def test_a_user_is_deleted_by_whoever_types_his_name(store: Store, root: Visitor) -> None:
    user = make_user(store)
    path = f"{USERS}/{user.id}/delete"
    for typed in ("", "bob"):
        answer = root.post(path, username=typed)
        assert answer.status_code == 422
        assert 'id="username-error"' in answer.text
    assert users.find(store, "alice") is not None
    answer = root.post(path, username="Alice")
    assert (answer.status_code, answer.headers["Location"]) == (303, USERS)
    assert users.find(store, "alice") is None
    assert root.get(f"{USERS}/{user.id}").status_code == 404


def test_a_link_is_made_by_a_form_alone_and_replaces_the_one_before(
    store: Store, root: Visitor
) -> None:
    path = f"{USERS}/{make_user(store).id}/reset_link"
    assert "Make a reset link for alice?" in root.text(path)
    assert contents(store)["password_reset"] == []
    codes = [re.findall(r'reset#([^"]+)"', root.post(path).text) for _ in range(2)]
    assert codes[0] != codes[1]
    assert len(contents(store)["password_reset"]) == 1


def test_a_user_is_renamed(store: Store, root: Visitor) -> None:
    user = make_user(store, profile={"note": "old"})
    path = f"{USERS}/{user.id}/edit"
    assert 'value="alice@example.org"' in root.text(path)
    values = {"username": "Alicia", "name": "Alicia", "email": "a@example.org", "note": ""}
    assert root.post(path, **values).status_code == 303
    changed = users.get(store, user.id)
    assert (changed.username, changed.name) == ("Alicia", "Alicia")
    assert (changed.email, changed.note) == ("a@example.org", None)
    refused = root.post(path, **values | {"username": "root"})
    assert refused.status_code == 422
    assert 'id="username-error"' in refused.text
    assert users.get(store, user.id) == changed


def test_a_form_changes_only_what_was_changed_in_it(store: Store, root: Visitor) -> None:
    user = make_user(store)
    path = f"{USERS}/{user.id}/edit"
    shown = dict(re.findall(r'name="was_(\w+)" value="([^"]*)"', root.text(path)))
    assert shown == {
        "username": "alice",
        "name": "Alice",
        "email": "alice@example.org",
        "note": "",
    }
    users.change(store, COMMAND_LINE, user.id, UserChanges(email="new@example.org"))
    old = shown | {f"was_{name}": value for name, value in shown.items()}
    assert root.post(path, **old | {"name": "Alicia"}).status_code == 303
    changed = users.get(store, user.id)
    assert (changed.name, changed.email) == ("Alicia", "new@example.org")


def test_nobody_is_found_where_nobody_is(root: Visitor) -> None:
    for user_id in ("0", "999999", "9" * 18, "9" * 30):
        assert root.get(f"{USERS}/{user_id}").status_code == 404
        for page in ("edit", "block", "delete", "reset_link", "impersonate"):
            path = f"{USERS}/{user_id}/{page}"
            assert root.get(path).status_code == 404, path
            assert root.post(path, username="x").status_code == 404, path
