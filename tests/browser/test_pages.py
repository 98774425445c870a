"""Every page there is, opened by whom it is for.

Nothing is in anybody's way, each can be reached from the others, and none holds a secret.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import requests
from flask import Flask
from playwright.sync_api import Page, Response

from tests.browser.conftest import Visit
from tests.browser.harness import steps
from tests.browser.harness.barriers import barriers
from tests.browser.harness.crawl import crawl, views
from tests.browser.harness.site import Person, Site
from tests.ssh_keys import new_line
from tokensrv.services.account.sessions import Stage


class Inspection:
    """A crawl on which every page is inspected; what is wrong, and which were not found."""

    def __init__(
        self, site: Site, app: Flask, page: Page, starts: Iterable[str], wanted: set[str]
    ) -> None:
        self.faults: defaultdict[str, list[str]] = defaultdict(list)
        self._page, self._site = page, site
        seen = crawl(app, page, starts, wanted, self._look)
        self.missed = wanted - seen

    def _look(self, answer: Response) -> None:
        found = barriers(self._page)
        held = f"{self._page.url} {self._page.content()} {self._page.context.cookies()}"
        found += [f"a secret: {secret}" for secret in self._site.secrets if secret in held]
        if answer.status != 200:
            found.append(f"{answer.status}")
        if found:
            self.faults[self._page.url] += found


def test_pages_for_everybody(visit: Visit, site: Site, app: Flask) -> None:
    starts = ["/users/sign_in", "/users/password/reset", "/docs"]
    found = Inspection(site, app, visit(), starts, views(app, stage=None))
    assert (found.faults, found.missed) == ({}, set())


def test_the_steps_of_a_sign_in(visit: Visit, site: Site, app: Flask) -> None:
    person = site.person()
    page = visit()
    steps.sign_in(page, person)
    found = Inspection(site, app, page, [page.url], views(app, stage=Stage.PASSWORD))
    assert (found.faults, found.missed) == ({}, set())
    steps.choose_password(page, person)
    steps.set_up_app(page)
    steps.sign_out(page)
    steps.sign_in(page, person)
    found = Inspection(site, app, page, [page.url], views(app, stage=Stage.SECOND_FACTOR))
    assert (found.faults, found.missed) == ({}, set())


def test_pages_for_users(visit: Visit, site: Site, app: Flask) -> None:
    person = site.person()
    steps.arrive(visit(), person)
    page = steps.arrive(visit(), person)
    _live_a_little(page, site, person)
    wanted = views(app, stage=Stage.FULL, admin=False)
    found = Inspection(site, app, page, ["/", "/users/confirm"], wanted)
    assert (found.faults, found.missed) == ({}, set())


def test_pages_for_admins(visit: Visit, site: Site, app: Flask) -> None:
    page = steps.arrive(visit(), site.root)
    starts = ["/admin", *_people_of_all_kinds(visit, site), *_clients(page, site)]
    rule = {"prefix": "team/app", "user": "root", "access": "read"}
    assert site.api("POST", "/tokensrv/rules", json=rule).status_code == 201
    found = Inspection(site, app, page, starts, views(app, admin=True))
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
    app, codes = steps.set_up_app(page)
    steps.plug_in_device(page)
    steps.add_passkey(page, "my laptop")
    site.token(person, name="a rather long name of a token that somebody thought of at night")
    assert site.api("POST", f"/users/{person.id}/keys", json={"key": new_line()}).ok
    page.goto(steps.TOKENS)
    page.get_by_role("button", name="Make link").click()
    steps.confirm(page, "Make link")
    link = page.get_by_label("Address of the calendar").input_value()
    site.keep(app.secret, *codes, link.rpartition("/")[2].partition(".")[0])
    assert requests.get(link, timeout=10).text.startswith("BEGIN:VCALENDAR")
    assert site.api("GET", f"/user?sudo={person.username}").status_code == 200
    site.exchange(person)


def _people_of_all_kinds(visit: Visit, site: Site) -> list[str]:
    """Return the pages of users about whom different things can be done."""
    people = {verb: site.person() for verb in ("block", "ban", "deactivate")}
    for verb, person in people.items():
        assert site.api("POST", f"/users/{person.id}/{verb}").status_code == 201
    admin = site.person()
    # First, since it ends whatever sessions there are.
    assert site.api("PUT", f"/users/{admin.id}", json={"admin": True}).status_code == 200
    steps.set_up_app(steps.arrive(visit(), admin))
    new = {"name": "a rather long name of a token that somebody thought of", "scopes": ["api"]}
    made = site.api("POST", f"/users/{admin.id}/impersonation_tokens", json=new)
    site.keep(made.json()["token"])
    assert site.api("POST", f"/users/{admin.id}/keys", json={"key": new_line()}).ok
    ids = [person.id for person in (site.person(), *people.values(), admin)]
    more = [f"/admin/users/{admin.id}/{part}" for part in ("impersonation_tokens", "ssh_keys")]
    return [*(f"/admin/users/{id}" for id in ids), *more]


def _clients(page: Page, site: Site) -> list[str]:
    """Return the pages of a client that was made on the pages, and of one that is disabled."""
    page.goto("/admin/clients/new")
    page.get_by_label("Name").fill("the build server")
    page.get_by_role("button", name="Create client").click()
    site.keep(page.get_by_label("Client secret").input_value())
    disabled = site.api("POST", "/tokensrv/clients", json={"name": "an old one"}).json()
    client_id = disabled["client_id"]
    assert site.api("POST", f"/tokensrv/clients/{client_id}/disable").status_code == 200
    good = page.get_by_role("link", name="Go to the client").get_attribute("href")
    return [good or "", f"/admin/clients/{client_id}"]
