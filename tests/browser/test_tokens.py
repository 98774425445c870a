"""Access tokens, from the sign-in to the revocation, as people go about it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.conftest import Visit
from tests.browser.site import Site
from tests.browser.steps import TOKENS
from tests.browser.watch import Watch

SCRIPTS = pytest.mark.parametrize(
    "with_scripts", [True, False], ids=["with scripts", "without scripts"]
)


@SCRIPTS
def test_a_token_is_made_seen_once_used_and_revoked(
    visit: Visit, site: Site, watch: Watch, with_scripts: bool
) -> None:
    person = site.person()
    page = visit(java_script_enabled=with_scripts)
    # Sign in; the password that an admin chose is replaced.
    steps.sign_in(page, person)
    steps.choose_password(page, person)
    # Avatar, settings, access tokens. The first are in a menu that needs no script.
    page.get_by_role("button", name="User menu").click()
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("link", name="Access tokens").click()
    # A name, an expiration date, scopes.
    page.get_by_role("link", name="Add new token").first.click()
    page.get_by_label("Token name").fill("backup of the printer")
    page.get_by_label("Description").fill("every night")
    day = (datetime.now(UTC) + timedelta(days=40)).date().isoformat()
    page.get_by_label("Expiration date").fill(day)
    page.get_by_role("checkbox", name="read_user", exact=True).check()
    page.get_by_role("button", name="Create personal access token").click()
    # It is seen once, and works.
    secret = steps.shown_secret(page)
    assert re.fullmatch(r"tsp_[0-9A-Za-z]{36}", secret)
    assert secret not in page.url
    answer = site.api("GET", "/personal_access_tokens/self", secret).json()
    assert (answer["name"], answer["scopes"], answer["expires_at"]) == (
        "backup of the printer",
        ["read_user"],
        day,
    )
    # Whoever comes back finds it in the list, and its secret nowhere.
    page.get_by_role("link", name="I have copied it").click()
    row = page.get_by_role("row", name="backup of the printer")
    expect(row).to_contain_text("read_user")
    page.reload()
    assert secret not in page.content()
    page.go_back()
    assert secret not in _all_text(page)
    # Revoked, it is over at once.
    page.goto(TOKENS)
    steps.act_in_row(page, "backup of the printer", "Revoke")
    expect(page.get_by_role("status").first).to_be_visible()
    assert site.api("GET", "/personal_access_tokens/self", secret).status_code == 401
    expect(page.get_by_role("row", name="backup of the printer")).to_have_count(0)
    watch.expect(401)


def _all_text(page: Page) -> str:
    """Return a page's text with the values of its fields."""
    fields = page.locator("input, textarea").all()
    return page.content() + " ".join(field.input_value() for field in fields)
