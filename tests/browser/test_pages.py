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
    starts = ["/admin", *_people_of_all_kinds(visit, site), _disabled_client(site)]
    page = steps.arrive(visit(), site.root)
    found = Inspection(app, page, starts, views(app, admin=True))
    assert (found.faults, found.missed) == ({}, set())


def test_a_barrier_would_be_found(visit: Visit) -> None:
    page = visit()
    page.goto("/users/sign_in")
    assert barriers(page) == []
    page.evaluate("document.querySelector('h1').style.color = 'var(--line)'")
    page.evaluate("document.querySelector('label').remove()")
    page.evaluate("document.querySelector('main').style.minWidth = '500px'")
    found = {fault.partition(":")[0] for fault in barriers(page)}
    assert found == {
        "light color-contrast",
        "dark color-contrast",
        "light label",
        "narrow too wide",
    }


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


def _people_of_all_kinds(visit: Visit, site: Site) -> list[str]:
    """Return the pages of users about whom different things can be done."""
    people = {verb: site.person() for verb in ("block", "ban", "deactivate")}
    for verb, person in people.items():
        assert site.api("POST", f"/users/{person.id}/{verb}").status_code == 201
    admin = site.person()
    steps.set_up_app(steps.arrive(visit(), admin))
    new = {"name": "a rather long name of a token that somebody thought of", "scopes": ["api"]}
    made = site.api("POST", f"/users/{admin.id}/impersonation_tokens", json=new)
    promoted = site.api("PUT", f"/users/{admin.id}", json={"admin": True})
    assert (made.status_code, promoted.status_code) == (201, 200)
    starts = [f"/admin/users/{person.id}" for person in (*people.values(), admin)]
    return [*starts, f"/admin/users/{admin.id}/impersonation_tokens"]


def _disabled_client(site: Site) -> str:
    made = site.api("POST", "/tokensrv/clients", json={"name": "the build server"})
    client_id = made.json()["client_id"]
    assert site.api("POST", f"/tokensrv/clients/{client_id}/disable").status_code == 200
    return f"/admin/clients/{client_id}"
