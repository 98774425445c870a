"""Every page there is, opened by whom it is for: nothing in anybody's way, nothing to scroll for."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from flask import Flask
from playwright.sync_api import Page

from tests.browser import steps
from tests.browser.barriers import barriers
from tests.browser.conftest import Visit
from tests.browser.site import Site
from tokensrv.services.account.sessions import Stage
from tokensrv.web.access import PAGES

# What is no page to look at: files, and lists to take away.
NOT_LOOKED_AT = {"web.assets.show", "web.inventory_export.show"}


@dataclass(frozen=True)
class World:
    """Something for every page to show."""

    values: dict[str, object]


@pytest.fixture
def world(site: Site) -> World:
    person = site.person()
    token_id, _ = site.token(person)
    return World({"user_id": person.id, "token_id": token_id})


def _paths(app: Flask, world: World, **wanted: object) -> dict[str, str]:
    """Return the addresses of pages with these properties."""
    rules = {
        rule.endpoint: rule
        for rule in app.url_map.iter_rules()
        if rule.endpoint in PAGES.keys() - NOT_LOOKED_AT and "GET" in (rule.methods or ())
    }
    return {
        endpoint: rule.build({name: world.values[name] for name in rule.arguments})[1]
        for endpoint, rule in rules.items()
        if all(getattr(PAGES[endpoint], name) == value for name, value in wanted.items())
    }


def _faults(page: Page, paths: dict[str, str]) -> dict[str, list[str]]:
    found = {}
    for endpoint, path in paths.items():
        answer = page.goto(path)
        found[endpoint] = barriers(page)
        if answer is None or answer.status != 200:
            found[endpoint].append(f"{answer and answer.status}")
    return {endpoint: faults for endpoint, faults in found.items() if faults}


def test_pages_for_everybody(visit: Visit, app: Flask, world: World) -> None:
    assert _faults(visit(), _paths(app, world, stage=None)) == {}


def test_pages_for_users(visit: Visit, site: Site, app: Flask, world: World) -> None:
    page = steps.arrive(visit(), site.person())
    assert _faults(page, _paths(app, world, stage=Stage.FULL, admin=False)) == {}


def test_pages_for_admins(visit: Visit, site: Site, app: Flask, world: World) -> None:
    page = steps.arrive(visit(), site.root)
    assert _faults(page, _paths(app, world, admin=True)) == {}
