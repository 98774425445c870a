"""Access tokens, from the sign-in to the revocation, as people go about it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page, expect

from tests.browser.conftest import SCRIPTS, Visit
from tests.browser.harness import steps
from tests.browser.harness.barriers import barriers
from tests.browser.harness.site import Site
from tests.browser.harness.steps import TOKENS
from tests.browser.harness.watch import Watch


@SCRIPTS
def test_a_token_is_made_seen_once_used_rotated_and_revoked(
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
    site.keep(secret)
    assert re.fullmatch(r"tsp_[0-9A-Za-z]{36}", secret)
    assert secret not in page.url
    answer = site.api("GET", "/personal_access_tokens/self", secret).json()
    assert (answer["name"], answer["scopes"], answer["expires_at"]) == (
        "backup of the printer",
        ["read_user"],
        day,
    )
    # Reloaded, gone back to, found again: the secret is nowhere, and there is one token.
    watch.expect(409)
    page.reload()
    assert secret not in _all_text(page)
    page.goto(TOKENS)
    expect(page.get_by_role("row", name="backup of the printer")).to_contain_text("read_user")
    page.go_back()
    assert secret not in _all_text(page)
    # Rotated, it has another secret; revoked, it is over at once.
    page.goto(TOKENS)
    steps.act_in_row(page, "backup of the printer", "Rotate")
    old, secret = secret, steps.shown_secret(page)
    site.keep(secret)
    assert site.api("GET", "/personal_access_tokens/self", secret).status_code == 200
    assert site.api("GET", "/personal_access_tokens/self", old).status_code == 401
    page.goto(TOKENS)
    steps.act_in_row(page, "backup of the printer", "Revoke")
    expect(page.get_by_role("status").first).to_be_visible()
    assert site.api("GET", "/personal_access_tokens/self", secret).status_code == 401
    expect(page.get_by_role("row", name="backup of the printer")).to_have_count(0)


def test_the_back_button_shows_no_secret(visit: Visit, site: Site) -> None:
    page = steps.arrive(visit(), site.person())
    secret = steps.create_token(page, "printer", "read_user")
    assert barriers(page) == []
    page.get_by_role("link", name="I have copied it").click()
    expect(page.get_by_role("row", name="printer")).to_be_visible()
    page.go_back()
    assert secret not in _all_text(page)


def test_a_link_fills_the_form_in_and_makes_nothing(visit: Visit, site: Site) -> None:
    person = site.person()
    page = steps.arrive(visit(), person)
    page.goto(f"{TOKENS}?name=Backup+job&description=every+night&scopes=read_api,read_user")
    expect(page.get_by_label("Token name")).to_have_value("Backup job")
    expect(page.get_by_label("Description")).to_have_value("every night")
    expect(page.get_by_role("checkbox", name="read_user", exact=True)).to_be_checked()
    expect(page.get_by_role("checkbox", name="api", exact=True)).not_to_be_checked()
    assert site.api("GET", f"/personal_access_tokens?user_id={person.id}").json() == []


@SCRIPTS
def test_filters_and_sort_stand_in_the_address(
    visit: Visit, site: Site, with_scripts: bool
) -> None:
    person = site.person()
    for name in ("laptop", "printer", "plotter"):
        site.token(person, name=name)
    page = steps.arrive(visit(java_script_enabled=with_scripts), person)
    page.goto(TOKENS)
    page.get_by_label("Name", exact=True).fill("p")
    page.get_by_label("Sort").select_option(label="Name: Z to A")
    page.get_by_role("button", name="Apply filters").click()
    names = page.get_by_role("table").get_by_role("rowheader")
    expect(names).to_contain_text(["printer", "plotter", "laptop"])
    page.get_by_label("Name", exact=True).fill("plot")
    page.get_by_role("button", name="Apply filters").click()
    expect(names).to_have_count(1)
    assert "search=plot" in page.url
    page.reload()
    expect(names).to_contain_text(["plotter"])
    page.get_by_role("link", name=re.compile("^Filter list.*Revoked tokens$")).click()
    expect(page.get_by_label("State")).to_have_value("inactive")
    expect(names).to_have_count(0)


@SCRIPTS
def test_a_button_that_is_pressed_twice_makes_one_token(
    visit: Visit, site: Site, watch: Watch, with_scripts: bool
) -> None:
    watch.expect(409)
    person = site.person()
    page = steps.arrive(visit(java_script_enabled=with_scripts), person)
    page.goto(f"{TOKENS}/new")
    page.get_by_label("Token name").fill("once")
    page.get_by_role("checkbox", name="read_user", exact=True).check()
    page.get_by_role("button", name="Create personal access token").dblclick()
    expect(page.get_by_role("heading", level=1)).to_contain_text(re.compile("created|one token"))
    listed = site.api("GET", f"/personal_access_tokens?user_id={person.id}").json()
    assert [token["name"] for token in listed] == ["once"]


HOSTILE = (
    '<img src=x onerror="alert(1)">',
    '"><script>alert(1)</script>',
    "\u202eexe.gpj",
    '=HYPERLINK("https://evil.example")',
    "{{ 7 * 7 }}",
)


def test_hostile_names_are_shown_as_they_are_and_do_nothing(visit: Visit, site: Site) -> None:
    person = site.person(name=HOSTILE[0])
    ids = [site.token(person, name=name, description=name)[0] for name in HOSTILE]
    page, admins = steps.arrive(visit(), person), steps.arrive(visit(), site.root)
    alarms: list[str] = []
    for one in (page, admins):
        one.on("dialog", lambda dialog: alarms.append(dialog.message))
    page.goto(TOKENS)
    shown = page.get_by_role("table").locator("bdi").all_text_contents()
    assert set(HOSTILE) <= set(shown)
    admins.goto(f"/admin/tokens?owner={person.username}")
    assert set(HOSTILE) <= set(admins.get_by_role("table").locator("bdi").all_text_contents())
    for address in (f"/admin/users/{person.id}", f"/admin/tokens/{ids[1]}", "/admin/events"):
        admins.goto(address)
    for one in (page, admins):
        assert one.locator("main img").count() == 0
        assert one.locator("bdi").evaluate_all(_NOT_ISOLATED) == []
    assert alarms == []


_NOT_ISOLATED = """
(names) => names.filter((name) => getComputedStyle(name).unicodeBidi !== "isolate")
  .map((name) => name.outerHTML)
"""


def _all_text(page: Page) -> str:
    """Return a page's text with the values of its fields."""
    fields = page.locator("input, textarea").all()
    return page.content() + " ".join(field.input_value() for field in fields)
