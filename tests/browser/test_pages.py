"""Every page there is, opened by whom it is for: nothing is in anybody's way, all is reachable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from flask import Flask
from playwright.sync_api import Page, Response

from tests.browser import steps
from tests.browser.barriers import barriers
from tests.browser.conftest import Visit
from tests.browser.crawl import crawl, views
from tests.browser.site import Person, Site
from tokensrv.services.account.sessions import Stage


class Inspection:
    """A crawl on which every page is inspected, and none of the wanted ones may be missed."""

    def __init__(self, app: Flask, page: Page, starts: Iterable[str], wanted: set[str]) -> None:
        self.faults: defaultdict[str, list[str]] = defaultdict(list)
        self._page = page
        seen = crawl(app, page, starts, wanted, self._look)
        self.missed = wanted - seen

    def _look(self, answer: Response) -> None:
        found = barriers(self._page)
        if answer.status != 200:
            found.append(f"{answer.status}")
        if found:
            self.faults[self._page.url] += found


def test_pages_for_everybody(visit: Visit, app: Flask) -> None:
    starts = ["/users/sign_in", "/users/password/reset", "/docs"]
    found = Inspection(app, visit(), starts, views(app, stage=None))
    assert (found.faults, found.missed) == ({}, set())


def test_the_steps_of_a_sign_in(visit: Visit, site: Site, app: Flask) -> None:
    person = site.person()
    page = visit()
    steps.sign_in(page, person)
    found = Inspection(app, page, [page.url], views(app, stage=Stage.PASSWORD))
    assert (found.faults, found.missed) == ({}, set())
    steps.choose_password(page, person)
    steps.set_up_app(page)
    steps.sign_out(page)
    steps.sign_in(page, person)
    found = Inspection(app, page, [page.url], views(app, stage=Stage.SECOND_FACTOR))
    assert (found.faults, found.missed) == ({}, set())


def test_pages_for_users(visit: Visit, site: Site, app: Flask) -> None:
    person = site.person()
    steps.arrive(visit(), person)
    page = steps.arrive(visit(), person)
    _live_a_little(page, site, person)
    wanted = views(app, stage=Stage.FULL, admin=False)
    found = Inspection(app, page, ["/", "/users/confirm"], wanted)
    assert (found.faults, found.missed) == ({}, set())


def test_pages_for_admins(visit: Visit, site: Site, app: Flask) -> None:
    person = site.person()
    site.token(person, name="a rather long name of a token that somebody thought of at night")
    page = steps.arrive(visit(), site.root)
    starts = ["/admin", f"/admin/users/{person.id}"]
    found = Inspection(app, page, starts, views(app, admin=True))
    assert (found.faults, found.missed) == ({}, set())


def _live_a_little(page: Page, site: Site, person: Person) -> None:
    """Leave something behind on every page of one's own."""
    steps.set_up_app(page)
    steps.plug_in_device(page)
    steps.add_passkey(page, "my laptop")
    site.token(person, name="a rather long name of a token that somebody thought of at night")
    page.goto(steps.TOKENS)
    page.get_by_role("button", name="Make link").click()
    steps.confirm(page, "Make link")
    assert site.api("GET", f"/user?sudo={person.username}").status_code == 200
    site.exchange(person)
