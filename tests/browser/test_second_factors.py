"""A second factor: an app that shows codes, a passkey, and codes for the day one is lost."""

from __future__ import annotations

import time

from playwright.sync_api import Page, expect

from tests.browser.conftest import SCRIPTS, Visit
from tests.browser.harness import steps
from tests.browser.harness.barriers import barriers
from tests.browser.harness.site import Site
from tests.browser.harness.watch import Watch

# A code opens one door; the next one counts already.
_NEXT_CODE_SECONDS = 30


def _is_in(page: Page) -> None:
    expect(page.get_by_role("heading", name="Access tokens", level=1)).to_be_visible()


@SCRIPTS
def test_an_app_and_recovery_codes(
    visit: Visit, site: Site, watch: Watch, with_scripts: bool
) -> None:
    person = site.person()
    page = steps.arrive(visit(java_script_enabled=with_scripts), person)
    app, codes = steps.set_up_app(page)
    site.keep(app.secret, *codes)
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("main")).to_contain_text("On")
    steps.sign_out(page)
    watch.expect(422)
    steps.sign_in(page, person)
    steps.verify(page, "000000")
    expect(page.get_by_role("alert")).to_be_visible()
    steps.verify(page, app.at(time.time() + _NEXT_CODE_SECONDS))
    _is_in(page)
    steps.sign_out(page)
    steps.sign_in(page, person)
    steps.verify(page, codes[0])
    _is_in(page)
    steps.sign_out(page)
    steps.sign_in(page, person)
    steps.verify(page, codes[0])
    expect(page.get_by_role("alert")).to_be_visible()


def test_a_passkey(visit: Visit, site: Site) -> None:
    person = site.person()
    page = steps.arrive(visit(), person)
    steps.plug_in_device(page)
    steps.add_passkey(page, "my laptop")
    site.keep(*page.get_by_label("Your recovery codes").input_value().split("\n"))
    assert barriers(page) == []
    steps.sign_out(page)
    steps.sign_in(page, person)
    page.get_by_role("button", name="Use a passkey").click()
    _is_in(page)
    page.goto(steps.ACCOUNT)
    steps.act_in_row(page, "my laptop", "Remove")
    expect(page.get_by_role("row", name="my laptop")).to_have_count(0)
