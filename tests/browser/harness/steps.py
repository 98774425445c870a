"""Steps that people take on the pages, by the names that the pages promise."""

from __future__ import annotations

import re

import pyotp
from playwright.sync_api import Page, expect

from tests.browser.harness.site import PASSWORD, Person

TOKENS = "/-/user_settings/personal_access_tokens"
ACCOUNT = "/-/user_settings/account"

_CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')


def sign_in(page: Page, person: Person) -> None:
    """Give name and password; what comes then depends on the account."""
    page.goto("/users/sign_in")
    give_password(page, person)


def give_password(page: Page, person: Person) -> None:
    """Fill in the form that is open already."""
    page.get_by_label("Username or email").fill(person.username)
    page.get_by_label("Password").fill(person.password)
    page.get_by_role("button", name="Sign in").click()


def choose_password(page: Page, person: Person, password: str = PASSWORD) -> None:
    """Replace the password that an admin chose."""
    page.get_by_label("New password", exact=True).fill(password)
    page.get_by_label("Confirm new password").fill(password)
    page.get_by_role("button", name="Change password").click()
    person.password, person.is_lent = password, False


def arrive(page: Page, person: Person) -> Page:
    """Be signed in, for the first time if need be, and return the page that is open then.

    The forms are sent as the pages would, but nobody waits until they are drawn.
    """
    _send(page, "/users/sign_in", {"login": person.username, "password": person.password})
    if person.is_lent:
        new = {"new_password": PASSWORD, "confirm_new_password": PASSWORD}
        _send(page, "/users/password/new", new)
        person.password, person.is_lent = PASSWORD, False
    page.goto("/")
    expect(page.get_by_role("heading", name="Access tokens", level=1)).to_be_visible()
    return page


def _send(page: Page, path: str, fields: dict[str, str]) -> None:
    browser = page.context.request
    found = _CSRF.search(browser.get(path).text())
    assert found is not None
    form: dict[str, str | float | bool] = {"csrf_token": found[1], **fields}
    answer = browser.post(path, form=form, max_redirects=0)
    assert answer.status == 303, answer.text()


def create_token(page: Page, name: str, *scopes: str) -> str:
    """Fill in the form of a new token and return the secret that is shown."""
    page.goto(f"{TOKENS}/new")
    page.get_by_label("Token name").fill(name)
    for scope in scopes:
        page.get_by_role("checkbox", name=scope, exact=True).check()
    page.get_by_role("button", name="Create personal access token").click()
    return shown_secret(page)


def shown_secret(page: Page) -> str:
    """Return the secret that the page shows this once."""
    return page.get_by_label("Your new personal access token").input_value()


def act_in_row(page: Page, row: str, verb: str) -> None:
    """Press a button in a table's row, and the same one where it asks whether that is meant."""
    page.get_by_role("row", name=row).get_by_role("button", name=verb).click()
    confirm(page, verb)


def confirm(page: Page, verb: str) -> None:
    """Press the button of a page that asks whether that is meant."""
    page.get_by_role("main").get_by_role("button", name=verb, exact=True).click()


def sign_out(page: Page) -> None:
    """Sign out by the menu."""
    page.get_by_role("button", name="User menu").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def verify(page: Page, code: str) -> None:
    """Give a code that is asked for."""
    page.get_by_label("Verification code").fill(code)
    page.get_by_role("button", name="Verify code").click()


def set_up_app(page: Page) -> tuple[pyotp.TOTP, list[str]]:
    """Set up an authenticator app; return it, and the recovery codes that are shown then."""
    page.goto(ACCOUNT)
    page.get_by_role("button", name="Set up app").click()
    app = pyotp.TOTP(page.get_by_label("Key").input_value().replace(" ", ""))
    verify(page, app.now())
    return app, page.get_by_label("Your recovery codes").input_value().split("\n")


def plug_in_device(page: Page) -> None:
    """Give the page's computer a device for passkeys, whose user agrees to everything."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    device = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": device})


def add_passkey(page: Page, name: str) -> None:
    """Make a passkey on the device."""
    page.goto(ACCOUNT)
    page.get_by_role("button", name="Add passkey").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Add passkey").click()
    expect(page.get_by_role("main")).not_to_contain_text("Add a passkey")
