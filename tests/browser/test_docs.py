"""The page of the API: everybody reads it, and with a token tries it."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.harness.site import Site
from tests.browser.harness.watch import Watch


def _open(page: Page, title: str) -> Page:
    page.locator("summary").filter(has_text=title).first.click()
    return page


def test_an_operation_is_tried_with_a_token_that_the_page_keeps_nowhere(
    visit: Visit, site: Site
) -> None:
    person = site.person()
    _, secret = site.token(person)
    page = visit()
    page.goto("/docs")
    page.get_by_label("Token", exact=True).fill(secret)
    _open(page, "Show the user as whom one calls.")
    form = page.get_by_role("form", name="Try GET /api/v4/user", exact=True)
    form.get_by_role("button", name="Try it").click()
    expect(form.get_by_role("status")).to_contain_text("200 OK")
    expect(form.get_by_role("region", name="Body")).to_contain_text(
        f'"username": "{person.username}"'
    )
    kept = page.evaluate(
        "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])"
    )
    assert secret not in kept
    page.goto("/users/sign_in")
    page.go_back()
    expect(page.get_by_label("Token", exact=True)).to_have_value("")


def test_parameters_go_into_path_query_and_body(visit: Visit, site: Site) -> None:
    person = site.person()
    page = visit()
    page.goto("/docs")
    page.get_by_label("Token", exact=True).fill(site.admin_token)
    _open(page, "Make a personal access token for a user.")
    form = page.get_by_role("form", name="Try POST /api/v4/users/{user_id}/personal_access_tokens")
    form.get_by_label("user_id").fill(str(person.id))
    form.get_by_role("button", name="Try it").click()
    expect(form.get_by_role("status")).to_contain_text("201 Created")
    page.get_by_label("Act as (sudo)").fill(person.username)
    _open(page, "List personal access tokens")
    form = page.get_by_role("form", name="Try GET /api/v4/personal_access_tokens", exact=True)
    form.get_by_label("search").fill("laptop")
    form.get_by_role("button", name="Try it").click()
    expect(form.get_by_role("status")).to_contain_text("X-Total: 1")
    expect(form.get_by_role("status")).to_contain_text(f"Tokensrv-Subject: {person.id}")


def test_a_refusal_is_shown_as_it_is(visit: Visit, watch: Watch) -> None:
    watch.expect(401)
    page = visit()
    page.goto("/docs")
    _open(page, "Show the version.")
    form = page.get_by_role("form", name="Try GET /api/v4/version", exact=True)
    form.get_by_role("button", name="Try it").click()
    expect(form.get_by_role("status")).to_contain_text("401 Unauthorized")


def test_without_scripts_everything_can_be_read(visit: Visit) -> None:
    page = visit(java_script_enabled=False)
    page.goto("/docs")
    _open(page, "Rename or narrow a personal access token.")
    expect(page.get_by_role("cell", name="list of text").first).to_be_visible()
    expect(page.get_by_role("button", name="Try it")).to_have_count(0)
