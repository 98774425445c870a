"""The keyboard alone: everything is reached, seen where it is, and left again."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.harness import steps
from tests.browser.harness.barriers import barriers
from tests.browser.harness.site import Site

_OUTLINE = "getComputedStyle(document.activeElement).outlineStyle"
_FOCUSED = "document.activeElement.outerHTML.slice(0, 200)"
# More than any of these pages has.
_MANY = 80


def test_the_skip_link_leads_past_the_top(visit: Visit, site: Site) -> None:
    page = steps.arrive(visit(), site.person())
    page.goto(steps.TOKENS)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport(ratio=1)
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("main").get_by_role("link", name="Add new token").first).to_be_focused()


def test_the_menu_opens_and_closes(visit: Visit, site: Site) -> None:
    page = steps.arrive(visit(), site.person())
    menu = page.get_by_role("button", name="User menu")
    menu.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Settings")).to_be_visible()
    assert barriers(page) == []
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Settings")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Settings")).to_be_hidden()
    expect(menu).to_be_focused()


def test_a_token_is_made_and_whatever_has_the_focus_is_seen(visit: Visit, site: Site) -> None:
    page = steps.arrive(visit(), site.person())
    page.goto(f"{steps.TOKENS}/new")
    _tab_to(page, 'name="name"')
    page.keyboard.type("typed")
    _tab_to(page, 'value="read_user"')
    page.keyboard.press("Space")
    _tab_to(page, "Create personal access token")
    page.keyboard.press("Enter")
    assert steps.shown_secret(page).startswith("tsp_")


def _tab_to(page: Page, wanted: str) -> None:
    """Go on until something has the focus; all on the way, and it, show that they have it."""
    for _ in range(_MANY):
        page.keyboard.press("Tab")
        focused = page.evaluate(_FOCUSED)
        assert page.evaluate(_OUTLINE) != "none", focused
        if wanted in focused:
            return
    raise AssertionError(f"the keyboard does not get to {wanted}")
