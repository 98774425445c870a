"""The watch itself: were a page to do what it must not, every test would fail."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.harness.site import Site
from tests.browser.harness.watch import Watch

INLINE = "document.body.append(Object.assign(document.createElement('script'), {text: 'run()'}))"
PICTURE = "document.body.append(Object.assign(new Image(), {src: 'http://evil.example/x.png'}))"
BROKEN = "queueMicrotask(() => nothing.at.all)"
MISSING = "fetch('/api/v4/nothing')"


@pytest.mark.parametrize(
    ("script", "noticed"),
    [
        (INLINE, {"console"}),
        (PICTURE, {"console", "failed", "foreign"}),
        (BROKEN, {"script"}),
        (MISSING, {"answer"}),
    ],
    ids=["a script in the page", "a picture from elsewhere", "an error", "a refusal"],
)
def test_a_fault_is_noticed(chromium: Browser, site: Site, script: str, noticed: set[str]) -> None:
    watch = Watch(site.url)
    with chromium.new_context(base_url=site.url) as context:
        watch.over(context)
        page = context.new_page()
        page.goto("/users/sign_in")
        assert watch.faults() == []
        page.evaluate(f"{{{script}}}")
        page.reload()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert {fault.partition(":")[0] for fault in watch.faults()} == noticed
