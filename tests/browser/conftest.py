"""A browser and a site for all tests of this folder, a fresh visitor for each.

They run on SQLite alone: pages do not know which database there is, and starting a browser is
expensive. The browser lives no longer than the folder's tests, because Playwright keeps an event
loop in their thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.harness.site import Site, opened
from tests.browser.harness.watch import Watch
from tests.databases import Databases

CHROMIUM = "/usr/bin/chromium"
_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_PATIENCE_MS = 10_000

# What works with scripts and without them.
SCRIPTS = pytest.mark.parametrize(
    "with_scripts", [True, False], ids=["with scripts", "without scripts"]
)

# Opens a page in a browser that nobody has used before. It may go to these other hosts, and the
# options are those of a context.
Visit = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder: SQLite alone."""
    folder = Path(__file__).parent
    for item in items:
        if folder in item.path.parents:
            item.add_marker(pytest.mark.sqlite)


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Site]:
    """The site; when all is over its log has no error, and no secret."""
    with opened(tmp_path_factory.mktemp("site"), databases) as found:
        yield found
    log = found.server.log.read_text()
    assert [line for line in log.splitlines() if '"level": "error"' in line] == []
    assert [secret for secret in found.secrets if secret in log] == []


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def watch(site: Site) -> Iterator[Watch]:
    """Who looks for faults during the test; there are none afterwards."""
    found = Watch(site.url)
    yield found
    assert found.faults() == []


@pytest.fixture
def visit(chromium: Browser, site: Site, watch: Watch) -> Iterator[Visit]:
    """How somebody comes to the site with a browser of his own."""
    with ExitStack() as open_ones:

        def come(*others: str, **options: Any) -> Page:
            context = open_ones.enter_context(_context(chromium, site, **options))
            watch.over(context, others)
            return context.new_page()

        yield come


def _context(chromium: Browser, site: Site, **options: Any) -> BrowserContext:
    context = chromium.new_context(
        base_url=site.url, locale="en-US", timezone_id="UTC", reduced_motion="reduce", **options
    )
    context.set_default_timeout(_PATIENCE_MS)
    return context
