"""Pictures of the pages for the documentation, of a small company's life with tokens.

They are taken in every run and kept in one that asks for it:
``TEST_SCREENSHOTS=docs/images pytest tests/browser/test_screenshots.py``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
import requests
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.conftest import Visit
from tests.browser.harness import steps
from tests.browser.harness.site import Person, Site
from tests.live.servers import REPOSITORY, wait_for

KEPT = REPOSITORY / "docs" / "images"
PNG = b"\x89PNG\r\n"
PHONE: Final = ViewportSize(width=390, height=844)
DESK: Final = ViewportSize(width=1280, height=860)
# Name, scopes, days to go, what it is for.
TOKENS = (
    ("backup of the printer", ("read_user",), 9, "every night at three"),
    ("build server", ("read_api", "read_registry"), 40, "runs on every push"),
    ("laptop", ("api",), 200, "mine, at home"),
    ("wiki", ("read_repository",), 75, "shows our handbook"),
)

Take = Callable[[Page, str, str], None]


@pytest.fixture
def take(tmp_path: Path) -> Take:
    """How a picture is taken of a page with this title."""
    folder = Path(os.environ.get("TEST_SCREENSHOTS") or tmp_path)

    def press(page: Page, title: str, name: str) -> None:
        expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
        picture = page.screenshot(path=folder / f"{name}.png")
        assert picture.startswith(PNG)
        assert (KEPT / f"{name}.png").exists()

    return press


def test_pictures_of_ones_own_pages(visit: Visit, site: Site, take: Take) -> None:
    alice = _alice(site)
    page = visit(viewport=DESK)
    page.goto("/users/sign_in")
    take(page, "Sign in", "sign-in")
    steps.arrive(page, alice)
    take(page, "Access tokens", "tokens")
    page.set_viewport_size(PHONE)
    take(page, "Access tokens", "tokens-phone")
    page.set_viewport_size(DESK)
    page.goto(f"{steps.TOKENS}?name=mail+client&scopes=read_user")
    take(page, "New personal access token", "new-token")
    page.get_by_role("button", name="Create personal access token").click()
    site.keep(steps.shown_secret(page))
    take(page, "Token created", "new-secret")
    page.goto(steps.ACCOUNT)
    take(page, "Account", "account")
    page.goto("/-/user_settings/acted_as_me")
    take(page, "Acted as me", "acted-as-me")


def test_pictures_of_the_administration(visit: Visit, site: Site, take: Take) -> None:
    for username in ("bob", "carla", "dmitri"):
        site.token(site.person(username), name=f"{username}'s laptop")
    _be_asked(site)
    page = steps.arrive(visit(viewport=DESK), site.root)
    wait_for(lambda: _counts(page), "the counts to be written")
    take(page, "Overview", "overview")
    page.emulate_media(color_scheme="dark")
    page.goto("/admin/tokens")
    take(page, "Tokens", "inventory-dark")
    page.emulate_media(color_scheme="light")
    for path, title in (("events", "Events"), ("users", "Users"), ("explain?id=1", "Explain")):
        page.goto(f"/admin/{path}")
        take(page, title, title.lower())
    page.goto("/docs")
    take(page, "API", "api")


def _alice(site: Site) -> Person:
    person = site.person("alice", name="Alice Ashby")
    today = datetime.now(UTC).date()
    for name, scopes, days, words in TOKENS:
        day = (today + timedelta(days=days)).isoformat()
        _, secret = site.token(person, *scopes, name=name, description=words, expires_at=day)
        site.api("GET", "/user", secret)
    headers = {"PRIVATE-TOKEN": site.admin_token, "Sudo": "alice", "Sudo-Reason": "ticket 4711"}
    for path in ("user", "personal_access_tokens"):
        requests.get(f"{site.url}/api/v4/{path}", headers=headers, timeout=10)
    return person


def _be_asked(site: Site) -> None:
    for _ in range(12):
        site.server.introspect(site.admin_token)
    for _ in range(3):
        site.server.introspect("tsp_unknown")


def _counts(page: Page) -> bool:
    """Return whether the overview knows of introspections yet."""
    page.goto("/admin")
    return "No client has asked" not in page.inner_text("main")
