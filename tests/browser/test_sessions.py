"""Sessions that somebody would like to have: planted, borrowed, kept too long."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Cookie, Page, expect

from tests.browser.conftest import Visit
from tests.browser.harness import steps
from tests.browser.harness.site import Person, Site
from tests.browser.harness.watch import Watch

SESSION = "tokensrv_session"


def _cookie(context: BrowserContext) -> Cookie:
    return next(cookie for cookie in context.cookies() if cookie["name"] == SESSION)


def _opens(page: Page, site: Site, value: str) -> bool:
    """Return whether a session's cookie, put into this browser, lets it in."""
    page.context.add_cookies([{"name": SESSION, "value": value, "url": site.url}])
    page.goto(steps.TOKENS)
    return "/users/sign_in" not in page.url


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(visit: Visit, site: Site) -> None:
    page = steps.arrive(visit(), site.person())
    cookie = _cookie(page.context)
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    assert cookie["domain"] == "localhost"
    assert SESSION not in page.evaluate("document.cookie")
    assert len(cookie["value"]) >= 43


def test_a_planted_session_is_not_the_one_that_is_signed_in(visit: Visit, site: Site) -> None:
    planted = "planted-by-somebody-who-waits-for-a-sign-in"
    person, page, thief = site.person(), visit(), visit()
    page.goto("/users/sign_in")
    page.context.add_cookies([{"name": SESSION, "value": planted, "url": site.url}])
    steps.sign_in(page, person)
    half = _cookie(page.context)["value"]
    steps.choose_password(page, person)
    expect(page.get_by_role("button", name="User menu")).to_be_visible()
    whole = _cookie(page.context)["value"]
    assert len({planted, half, whole}) == 3
    assert not _opens(thief, site, planted)
    assert not _opens(thief, site, half)


def test_a_copied_session_ends_with_the_sign_out(visit: Visit, site: Site) -> None:
    page, thief = steps.arrive(visit(), site.person()), visit()
    copied = _cookie(page.context)["value"]
    assert _opens(thief, site, copied)
    steps.sign_out(page)
    assert not _opens(thief, site, copied)


def test_a_blocked_user_is_out_at_once(visit: Visit, site: Site) -> None:
    person = site.person()
    page = steps.arrive(visit(), person)
    assert site.api("POST", f"/users/{person.id}/block").status_code == 201
    page.goto(steps.TOKENS)
    assert "/users/sign_in" in page.url


@pytest.mark.parametrize(
    "other",
    ["evil.example", "localhost:1"],
    ids=["another site", "another port, to which browsers send the cookie"],
)
def test_a_form_of_another_site_does_nothing(
    visit: Visit, site: Site, watch: Watch, other: str
) -> None:
    person = site.person()
    page = steps.arrive(visit(other), person)
    form = f"""
        <form method="post" action="{site.url}{steps.TOKENS}">
          <input name="name" value="planted"><input name="scopes" value="api">
        </form>
        <form method="post" action="{site.url}/users/sign_out"></form>
    """
    page.route(f"http://{other}/", lambda route: route.fulfill(body=form, content_type="text/html"))
    watch.expect(403)
    for number in range(2):
        page.goto(f"http://{other}/")
        with page.expect_navigation(url=f"{site.url}/**"):
            page.evaluate(f"document.forms[{number}].submit()")
    page.goto(steps.TOKENS)
    expect(page.get_by_role("button", name="User menu")).to_be_visible()
    assert site.api("GET", f"/personal_access_tokens?user_id={person.id}").json() == []


def test_the_form_is_still_filled_in_when_a_session_ended_over_it(visit: Visit, site: Site) -> None:
    person = site.person()
    page = steps.arrive(visit(), person)
    page.goto(f"{steps.TOKENS}/new")
    page.get_by_label("Token name").fill("half written")
    page.get_by_label("Description").fill("with <care> & patience")
    page.get_by_role("checkbox", name="read_api", exact=True).check()
    _end_all_sessions(visit, person)
    page.get_by_role("button", name="Create personal access token").click()
    steps.give_password(page, person)
    expect(page.get_by_label("Token name")).to_have_value("half written")
    expect(page.get_by_label("Description")).to_have_value("with <care> & patience")
    expect(page.get_by_role("checkbox", name="read_api", exact=True)).to_be_checked()
    expect(page.get_by_role("checkbox", name="api", exact=True)).not_to_be_checked()
    page.get_by_role("button", name="Create personal access token").click()
    assert site.api("GET", "/personal_access_tokens/self", steps.shown_secret(page)).ok


def _end_all_sessions(visit: Visit, person: Person) -> None:
    elsewhere = steps.arrive(visit(), person)
    elsewhere.goto(steps.ACCOUNT)
    elsewhere.get_by_role("button", name="End all other sessions").click()
    elsewhere.get_by_role("main").get_by_role("button").first.click()
    expect(elsewhere.get_by_role("row")).to_have_count(2)
