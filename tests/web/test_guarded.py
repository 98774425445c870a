"""Every page asks for what the table of pages says, whoever comes; no page is left out of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.conftest import ManualClock
from tests.factories import make_client, make_token, make_user
from tests.services.conftest import contents
from tests.ssh_keys import make_ssh_key
from tests.web.conftest import Visitor
from tokensrv.db import Store
from tokensrv.services.account.sessions import FRESH, Stage
from tokensrv.services.records import UserRecord
from tokensrv.web.access import PAGES, Page

SIGN_IN = "/users/sign_in"
CONFIRM = "/users/confirm"


@dataclass(frozen=True)
class Door:
    """One method of one page, with an address at which there is something."""

    endpoint: str
    method: str
    path: str

    @property
    def page(self) -> Page:
        """Return what the table asks for."""
        return PAGES[self.endpoint]


class House:
    """All pages, and something for each to be about: most of it belongs to bob."""

    def __init__(self, app: Flask, store: Store) -> None:
        self._app = app
        self.bob: UserRecord = make_user(store, "bob")
        token = make_token(store, self.bob).record
        self._values = {
            "client_id": make_client(store).record.client_id,
            "key_id": make_ssh_key(store, self.bob).id,
            "kind": "csv",
            "link_id": 1,
            "name": "tokensrv.css",
            "passkey_id": 1,
            "rule_id": 1,
            "secret": "0" * 40,
            "seq": 1,
            "session_id": 1,
            "token_id": token.id,
            "user_id": self.bob.id,
            "version": "0",
        }

    def doors(self, method: str, **wanted: object) -> list[Door]:
        """Return those of a method whose pages have these properties; there are some."""
        found = [
            door
            for door in self._all()
            if door.method == method
            and all(getattr(door.page, name) == value for name, value in wanted.items())
        ]
        assert found
        return found

    def _all(self) -> Iterator[Door]:
        for rule in self._app.url_map.iter_rules():
            if rule.endpoint in PAGES:
                built = rule.build({name: self._values[name] for name in rule.arguments})
                assert built is not None
                for method in sorted((rule.methods or set()) - {"HEAD"}):
                    yield Door(rule.endpoint, method, built[1])


@pytest.fixture
def house(app: Flask, store: Store) -> House:
    return House(app, store)


def _knock(visitor: Visitor, door: Door) -> TestResponse:
    return visitor.post(door.path) if door.method == "POST" else visitor.get(door.path)


def _leads_to(answer: TestResponse, path: str) -> bool:
    return answer.status_code == 303 and urlsplit(answer.headers["Location"]).path == path


def test_every_page_stands_in_the_table_and_every_entry_is_a_page(app: Flask) -> None:
    pages = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert {name for name in pages if name.startswith("web.")} == PAGES.keys()


def test_pages_are_opened_and_forms_are_sent_and_nothing_else(app: Flask) -> None:
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("web.")]
    assert {method for rule in rules for method in rule.methods or ()} == {"GET", "HEAD", "POST"}


def test_a_page_that_somebody_forgot_to_list_is_closed_to_everybody(
    app: Flask, root: Visitor
) -> None:
    app.add_url_rule("/admin/forgotten", "web.forgotten", lambda: "let in")
    answer = root.get("/admin/forgotten")
    assert answer.status_code == 403
    assert "let in" not in answer.text


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("stage", list(Stage))
def test_whoever_is_not_signed_in_is_led_to_the_sign_in(
    store: Store, house: House, anybody: Visitor, method: str, stage: Stage
) -> None:
    before = contents(store)
    doors = house.doors(method, stage=stage)
    assert [door for door in doors if not _leads_to(_knock(anybody, door), SIGN_IN)] == []
    assert contents(store) == before


def test_whoever_is_half_signed_in_can_do_nothing_but_the_next_step(
    store: Store, house: House, anybody: Visitor
) -> None:
    for stage, step in ((Stage.SECOND_FACTOR, "/users/sign_in/verify"), (Stage.PASSWORD, None)):
        anybody.sign_in(house.bob, stage)
        before = contents(store)
        doors = house.doors("GET", stage=Stage.FULL) + house.doors("POST", stage=Stage.FULL)
        expected = step or "/users/password/new"
        assert [door for door in doors if not _leads_to(_knock(anybody, door), expected)] == []
        assert contents(store) == before


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_but_admins_learns_that_there_are_pages_for_admins(
    store: Store, house: House, alice: Visitor, method: str
) -> None:
    before = contents(store)
    answers = {door: _knock(alice, door) for door in house.doors(method, admin=True)}
    assert [door for door, answer in answers.items() if answer.status_code != 404] == []
    assert all("There is no such page" in answer.text for answer in answers.values())
    assert contents(store) == before


@pytest.mark.parametrize("value", [None, "", "0" * 64], ids=["none", "empty", "wrong"])
@pytest.mark.parametrize("stage", [*Stage, None])
def test_a_form_that_is_not_from_our_pages_does_nothing(
    store: Store, house: House, root: Visitor, value: str | None, stage: Stage | None
) -> None:
    if stage is not None:
        root.sign_in(root.user, stage)
    before = contents(store)
    form = {} if value is None else {"csrf_token": value}
    headers = {"Accept": "text/html"}
    answers = {
        door: root.http.post(door.path, data=form, headers=headers)
        for door in house.doors("POST", stage=stage)
    }
    assert [door for door, answer in answers.items() if answer.status_code != 403] == []
    assert all("Nothing was done" in answer.text for answer in answers.values())
    assert contents(store) == before


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_good_form_that_a_browser_says_another_site_has_sent_does_nothing(
    store: Store, house: House, root: Visitor, site: str
) -> None:
    before = contents(store)
    root.http.environ_base["HTTP_SEC_FETCH_SITE"] = site
    doors = house.doors("POST", stage=Stage.FULL)
    assert [door for door in doors if root.post(door.path).status_code != 403] == []
    assert contents(store) == before


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_credentials_are_made_by_those_alone_who_have_just_proven_who_they_are(
    store: Store, house: House, root: Visitor, clock: ManualClock, method: str
) -> None:
    clock.advance(seconds=(FRESH + timedelta(seconds=1)).total_seconds())
    root.get("/docs")
    before = contents(store)
    doors = house.doors(method, fresh=True)
    assert [door for door in doors if not _leads_to(_knock(root, door), CONFIRM)] == []
    assert contents(store) == before


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_a_users_alone_is_closed_to_an_admin_who_acts_as_him(
    store: Store, house: House, root: Visitor, method: str
) -> None:
    root.act_as(house.bob)
    before = contents(store)
    doors = house.doors(method, acting=False)
    assert [door for door in doors if _knock(root, door).status_code != 403] == []
    assert contents(store) == before


def test_no_page_for_admins_is_open_while_one_acts_as_a_user() -> None:
    assert [name for name, page in PAGES.items() if page.admin and page.acting] == []


def test_whatever_is_fresh_is_no_business_of_an_admin_who_acts() -> None:
    assert [name for name, page in PAGES.items() if page.fresh and page.acting] == []


def test_no_address_carries_a_secret_back_after_a_sign_in() -> None:
    kept = {name for page in PAGES.values() for name in page.keeps}
    assert [word for word in kept for bad in ("password", "code", "secret") if bad in word] == []
