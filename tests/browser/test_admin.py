"""What admins do: find tokens and revoke them, and act as somebody, which he can see."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import SCRIPTS, Visit
from tests.browser.harness import steps
from tests.browser.harness.barriers import barriers
from tests.browser.harness.site import Site
from tests.browser.harness.watch import Watch

INVENTORY = "/admin/tokens"


def _filter_by_owner(page: Page, owner: str) -> None:
    page.goto(INVENTORY)
    page.get_by_label("Owner").fill(owner)
    page.get_by_role("button", name="Apply filters").click()


@SCRIPTS
def test_tokens_are_found_and_revoked_in_bulk_for_a_reason(
    visit: Visit, site: Site, with_scripts: bool
) -> None:
    person = site.person()
    secrets = [site.token(person, name=f"script {number}")[1] for number in range(3)]
    page = steps.arrive(visit(java_script_enabled=with_scripts), site.root)
    _filter_by_owner(page, person.username)
    assert f"owner={person.username}" in page.url
    expect(page.get_by_role("row", name="script")).to_have_count(3)
    for name in ("script 0", "script 2"):
        page.get_by_role("row", name=name).get_by_role("checkbox").check()
    page.get_by_role("button", name="Revoke selected").click()
    page.get_by_label("Reason").fill("the laptop was stolen")
    page.get_by_role("main").get_by_role("button", name="Revoke").click()
    states = [site.api("GET", "/user", secret).status_code for secret in secrets]
    assert states == [401, 200, 401]
    _filter_by_owner(page, person.username)
    expect(page.get_by_role("row", name="script")).to_have_count(1)
    page.goto("/admin/events")
    expect(page.get_by_role("main")).to_contain_text("the laptop was stolen")


@SCRIPTS
def test_an_admin_acts_as_somebody_who_can_see_it(
    visit: Visit, site: Site, watch: Watch, with_scripts: bool
) -> None:
    person = site.person()
    theirs = steps.arrive(visit(), person)
    page = steps.arrive(visit(java_script_enabled=with_scripts), site.root)
    before = _session(page)
    page.goto(f"/admin/users/{person.id}")
    page.get_by_role("button", name="Impersonate").click()
    page.get_by_label("Reason").fill("ticket 4711")
    page.get_by_role("main").get_by_role("button", name="Impersonate").click()
    banner = page.get_by_role("region", name="Impersonation")
    expect(banner).to_contain_text("root")
    expect(banner).to_contain_text(person.username)
    acting = _session(page)
    assert acting != before
    page.goto(steps.TOKENS)
    expect(banner).to_be_visible()
    expect(page.get_by_role("link", name="Add new token")).to_have_count(0)
    if with_scripts:
        assert barriers(page) == []
    watch.expect(403, 404)
    for closed in (f"{steps.TOKENS}/new", steps.ACCOUNT, "/admin", f"/admin/users/{person.id}"):
        page.goto(closed)
        expect(page.get_by_role("heading", level=1)).to_have_text("You may not do this")
    page.get_by_role("button", name="Stop impersonating").click()
    expect(banner).to_have_count(0)
    assert _session(page) not in {before, acting}
    theirs.goto("/-/user_settings/acted_as_me")
    expect(theirs.get_by_role("main")).to_contain_text("ticket 4711")
    expect(theirs.get_by_role("row", name="root").first).to_be_visible()


def test_a_reset_link_works_once_and_its_code_goes_nowhere(
    visit: Visit, site: Site, watch: Watch
) -> None:
    person = site.person()
    page = steps.arrive(visit(), site.root)
    page.goto(f"/admin/users/{person.id}")
    page.get_by_role("button", name="Make reset link").click()
    steps.confirm(page, "Make reset link")
    link = page.get_by_label("Reset link").input_value()
    code = link.partition("#")[2]
    site.keep(code)
    for attempt, status in ((1, "Sign in"), (2, "Set a new password")):
        theirs = visit()
        theirs.goto(link)
        assert code not in theirs.url
        watch.expect(422)
        steps.choose_password(theirs, person)
        expect(theirs.get_by_role("heading", level=1)).to_have_text(status)
        assert attempt == 1 or theirs.get_by_role("alert").count() == 1
    steps.arrive(visit(), person)


def _session(page: Page) -> str:
    """Return the value of the session's cookie."""
    return next(
        cookie["value"]
        for cookie in page.context.cookies()
        if cookie["name"].endswith("tokensrv_session")
    )
