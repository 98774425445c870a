"""The rules for repositories as an admin makes and removes them, and is told what follows."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ManualClock
from tests.factories import make_user
from tests.services.conftest import events_of
from tests.web.conftest import Visitor
from tokensrv.db import Store
from tokensrv.services import repositories
from tokensrv.services.account.sessions import LIFETIME
from tokensrv.services.directory import users
from tokensrv.services.records import UserRecord
from tokensrv.services.repositories import RuleRecord
from tokensrv.services.trail.events import COMMAND_LINE

PAGE = "/admin/repositories"
FORM = {"prefix": "team/app", "username": "bob", "access": "write"}
ONLY = "It is the only one: whatever it does not allow is closed to everybody now."
OPEN = "Without any rule everybody may use every repository, as far as his scopes go."


@pytest.fixture(autouse=True)
def bob(store: Store) -> UserRecord:
    return make_user(store, "bob")


def _add(store: Store, user: UserRecord, prefix: str) -> RuleRecord:
    return repositories.add(store, COMMAND_LINE, prefix=prefix, user_id=user.id, access="read")


def test_without_any_rule_the_page_says_what_the_first_will_do(root: Visitor) -> None:
    page = root.text(PAGE)
    assert "No rules" in page
    assert "The first rule closes to everybody what it does not allow." in page


def test_a_rule_is_added_and_what_the_first_one_closes_is_said(root: Visitor, store: Store) -> None:
    assert root.post(PAGE, **FORM).location == PAGE
    (rule,) = repositories.list_rules(store)
    assert (rule.prefix, rule.username, rule.access) == ("team/app", "bob", "write")
    page = root.text(PAGE)
    assert f"The rule was added. {ONLY}" in page
    assert re.search(r'class="mono"><bdi>team/app</bdi></th>', page)
    assert "<bdi>bob</bdi>" in page
    assert ">Read and write</td>" in page
    root.post(PAGE, **FORM | {"prefix": "/"})
    assert ONLY not in root.text(PAGE)
    assert [event.actor for event in events_of(store, "repository_rule.added")] == ["root"] * 2


@pytest.mark.parametrize(
    ("changed", "field", "sentence"),
    [
        ({"prefix": "team//app"}, "prefix", "Write whole parts of a path"),
        ({"prefix": ""}, "prefix", "Write whole parts of a path"),
        ({"username": "nobody"}, "username", "There is no such user."),
        ({"username": "a\0"}, "username", "There is no such user."),
        ({"access": "admin"}, "access", "valid value"),
    ],
)
def test_what_is_refused_is_said_beside_its_field_and_nothing_is_lost(
    root: Visitor,
    store: Store,
    bob: UserRecord,
    changed: dict[str, str],
    field: str,
    sentence: str,
) -> None:
    _add(store, bob, "kept")
    answer = root.post(PAGE, **FORM | changed)
    assert answer.status_code == 422
    error = re.search(rf'id="{field}-error" role="alert">([^<]+)<', answer.text)
    assert error is not None
    assert sentence in error[1]
    kept = next(FORM[name] for name in ("prefix", "username") if name not in changed)
    assert f'value="{kept}"' in answer.text
    assert "<bdi>kept</bdi>" in answer.text
    assert repositories.count(store) == 1


def test_a_rule_is_removed_after_a_question(root: Visitor, store: Store, bob: UserRecord) -> None:
    first, second = _add(store, bob, "a"), _add(store, bob, "b")
    way = f"{PAGE}/{first.id}/remove"
    asked = root.text(way)
    assert "Remove this rule?" in asked
    assert OPEN not in asked
    assert root.post(way).location == PAGE
    page = root.text(PAGE)
    assert "The rule was removed." in page
    assert OPEN not in page
    assert repositories.list_rules(store) == [second]
    assert root.get(way).status_code == root.post(way).status_code == 404


def test_before_and_after_the_last_rule_the_page_says_that_everything_opens(
    root: Visitor, store: Store, bob: UserRecord
) -> None:
    way = f"{PAGE}/{_add(store, bob, 'a').id}/remove"
    asked = root.text(way)
    assert "Remove the last rule?" in asked
    assert OPEN in asked
    root.post(way)
    assert f"The rule was removed. {OPEN}" in root.text(PAGE)


def test_the_rule_of_a_deleted_user_is_shown_and_removed(
    root: Visitor, store: Store, bob: UserRecord
) -> None:
    rule = _add(store, bob, "team")
    users.delete(store, COMMAND_LINE, bob.id)
    assert "Deleted: it allows nobody anything" in root.text(PAGE)
    assert "<bdi>Deleted</bdi>" in root.text(f"{PAGE}/{rule.id}/remove")
    root.post(f"{PAGE}/{rule.id}/remove")
    assert repositories.list_rules(store) == []


def test_a_long_list_has_pages(root: Visitor, store: Store, bob: UserRecord) -> None:
    for number in range(21):
        _add(store, bob, f"rule{number}")
    assert "<bdi>rule20</bdi>" in root.text(PAGE)
    assert "<bdi>rule20</bdi>" not in root.text(f"{PAGE}?per_page=20")
    assert "<bdi>rule20</bdi>" in root.text(f"{PAGE}?per_page=20&page=2")
    assert "There is no such page" in root.text(f"{PAGE}?page=2")


def test_what_was_typed_is_there_again_after_a_sign_in_in_between(
    root: Visitor, store: Store, clock: ManualClock
) -> None:
    clock.advance(seconds=LIFETIME.total_seconds())
    answer = root.post(PAGE, **FORM)
    assert answer.location.startswith("/users/sign_in?next=")
    assert root.user is not None
    root.sign_in(root.user)
    again = root.text(f"{PAGE}?prefix=team%2Fapp&username=bob&access=write")
    assert 'value="team/app"' in again
    assert '<option value="write" selected>' in again
    assert repositories.count(store) == 0


def test_what_people_chose_is_inert(root: Visitor, store: Store, bob: UserRecord) -> None:
    hostile = '"><script>alert(1)<'
    rule = _add(store, bob, hostile)
    for page in (PAGE, f"{PAGE}/{rule.id}/remove"):
        assert "<script>alert" not in root.text(page)
        assert "&lt;script&gt;alert" in root.text(page)
