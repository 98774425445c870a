from __future__ import annotations

import html
import re
from dataclasses import replace

import pyotp
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.authenticator import Authenticator
from tests.conftest import ManualClock
from tests.factories import make_totp, make_user
from tests.web.conftest import SESSION, Visitor
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.services.account import second_factors, sessions
from tokensrv.services.account.factors import passkeys
from tokensrv.services.account.sessions import FRESH, Stage
from tokensrv.services.records import UserRecord
from tokensrv.web.settings.account.browsers import in_words

ACCOUNT = "/-/user_settings/account"
APP, PASSKEYS = f"{ACCOUNT}/authenticator", f"{ACCOUNT}/passkeys"
CODES, SESSIONS = f"{ACCOUNT}/recovery_codes", f"{ACCOUNT}/sessions"
VERIFY = "/users/sign_in/verify"
PASSWORD, OTHER = "a lonely heron on the pier", "seven otters under a bridge"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, external_url="http://localhost:8000")


@pytest.fixture
def device() -> Authenticator:
    return Authenticator("http://localhost:8000")


def user_of(visitor: Visitor) -> UserRecord:
    assert visitor.user is not None
    return visitor.user


def key_in(answer: TestResponse) -> str:
    found = re.search(r'id="key"[^>]*value="([A-Z2-7]{32})"', answer.text)
    assert found is not None
    return found[1]


def codes_in(answer: TestResponse) -> list[str]:
    return re.findall(r"(?:[a-z2-7]{4}-){5}[a-z2-7]{4}", answer.text)


def code_of(key: str, clock: ManualClock) -> str:
    return pyotp.TOTP(key).at(clock.now_ms() // 1000)


def add_passkey(visitor: Visitor, device: Authenticator, name: str = "Laptop") -> TestResponse:
    options = visitor.post(f"{PASSKEYS}/options")
    assert options.content_type == "application/json"
    return visitor.post(PASSKEYS, name=name, passkey=device.make(options.text))


# The authenticator app


def test_an_app_is_set_up_and_its_codes_are_asked_for(
    store: Store, clock: ManualClock, alice: Visitor
) -> None:
    assert ">Off<" in alice.text(ACCOUNT)
    begun = alice.post(APP)
    before = alice.cookie(SESSION)
    done = alice.post(f"{APP}/confirm", code=code_of(key_in(begun), clock))
    assert (done.status_code, len(codes_in(done))) == (200, 10)
    assert alice.cookie(SESSION) != before
    page = alice.text(ACCOUNT)
    assert ">On<" in page
    assert "10 of them left" in page
    alice.sign_in(user_of(alice), Stage.SECOND_FACTOR)
    clock.advance(seconds=30)
    went_on = alice.post(VERIFY, code=code_of(key_in(begun), clock))
    assert (went_on.status_code, went_on.location) == (303, "/")
    assert alice.get(ACCOUNT).status_code == 200


def test_the_secret_is_drawn_without_any_style(alice: Visitor) -> None:
    begun = alice.post(APP)
    assert begun.headers["Cache-Control"] == "no-store"
    assert "<svg" in begun.text
    assert "style=" not in begun.text
    assert key_in(begun) not in alice.text(ACCOUNT)


def test_after_a_wrong_code_the_same_secret_is_shown(
    store: Store, clock: ManualClock, alice: Visitor
) -> None:
    key = key_in(alice.post(APP))
    refused = alice.post(f"{APP}/confirm", code="000000")
    assert refused.status_code == 422
    assert "not the code that the app shows now" in refused.text
    assert key_in(refused) == key
    assert "000000" not in refused.text
    assert alice.post(f"{APP}/confirm", code=code_of(key, clock)).status_code == 200


def test_a_code_for_no_app_is_for_no_page(alice: Visitor) -> None:
    assert alice.post(f"{APP}/confirm", code="123456").status_code == 404


def test_an_app_is_removed_after_a_question(store: Store, alice: Visitor) -> None:
    make_totp(store, user_of(alice))
    assert "Remove your authenticator app?" in alice.text(f"{APP}/remove")
    removed = alice.post(f"{APP}/remove")
    assert (removed.status_code, removed.location) == (303, ACCOUNT)
    assert "Your authenticator app is removed." in alice.text(ACCOUNT)
    assert not second_factors.get(store, user_of(alice).id).has_any


# Passkeys


def test_a_passkey_is_added_and_asked_for(
    store: Store, alice: Visitor, device: Authenticator
) -> None:
    done = add_passkey(alice, device, "<Laptop>")
    assert (done.status_code, len(codes_in(done))) == (200, 10)
    assert "<bdi>&lt;Laptop&gt;</bdi>" in alice.text(ACCOUNT)
    alice.sign_in(user_of(alice), Stage.SECOND_FACTOR)
    assert "Use a passkey" in alice.text(VERIFY)
    options = alice.post(f"{VERIFY}/passkey/options").text
    went_on = alice.post(f"{VERIFY}/passkey?next=/somewhere", passkey=device.sign(options))
    assert (went_on.status_code, went_on.location) == (303, "/somewhere")


def test_what_no_passkey_signed_is_refused(
    store: Store, alice: Visitor, device: Authenticator
) -> None:
    add_passkey(alice, device)
    alice.sign_in(user_of(alice), Stage.SECOND_FACTOR)
    options = alice.post(f"{VERIFY}/passkey/options").text
    refused = alice.post(f"{VERIFY}/passkey", passkey=Authenticator(device.origin).sign(options))
    assert refused.status_code == 422
    assert "This is not right." in refused.text
    assert alice.get(ACCOUNT).location == f"{VERIFY}?next={ACCOUNT}"


def test_what_no_device_made_is_refused_and_the_name_stays(alice: Visitor) -> None:
    refused = alice.post(PASSKEYS, name="My key", passkey="{}")
    assert refused.status_code == 422
    assert 'value="My key"' in refused.text
    assert "was not made by your device" in refused.text


def test_a_passkey_is_named_after_the_browser_at_first(alice: Visitor) -> None:
    alice.http.environ_base["HTTP_USER_AGENT"] = "Mozilla/5.0 (X11; Linux) Firefox/140.0"
    assert 'value="Firefox on Linux"' in alice.text(f"{PASSKEYS}/new")


def test_a_passkey_is_removed_after_a_question(
    store: Store, alice: Visitor, device: Authenticator
) -> None:
    add_passkey(alice, device)
    (record,) = passkeys.list_of(store, user_of(alice).id)
    assert "Laptop" in alice.text(f"{PASSKEYS}/{record.id}/remove")
    assert alice.post(f"{PASSKEYS}/{record.id}/remove").location == ACCOUNT
    assert passkeys.list_of(store, user_of(alice).id) == ()


def test_the_passkey_of_somebody_else_is_not_there(
    app: Flask, store: Store, alice: Visitor, device: Authenticator
) -> None:
    add_passkey(alice, device)
    (record,) = passkeys.list_of(store, user_of(alice).id)
    bob = Visitor(app, make_user(store, "bob"))
    foreign, unknown = (f"{PASSKEYS}/{n}/remove" for n in (record.id, 10**30))
    assert [bob.get(path).status_code for path in (foreign, unknown)] == [404, 404]
    assert bob.get(foreign).text == bob.get(unknown).text
    assert bob.post(foreign).status_code == 404
    assert passkeys.list_of(store, user_of(alice).id) == (record,)


def test_without_https_nobody_is_offered_a_passkey(store: Store, alice: Visitor) -> None:
    store.settings = replace(store.settings, external_url="http://127.0.0.1:8000")
    assert "Add passkey" not in alice.text(ACCOUNT)
    assert "data-passkey" not in alice.text(f"{PASSKEYS}/new")
    assert alice.post(f"{PASSKEYS}/options").status_code == 403


# Recovery codes


def test_a_recovery_code_signs_in_once(store: Store, alice: Visitor) -> None:
    code = make_totp(store, user_of(alice)).recovery_codes[0]
    for status in (303, 422):
        alice.sign_in(user_of(alice), Stage.SECOND_FACTOR)
        assert alice.post(VERIFY, code=code).status_code == status


def test_new_codes_are_shown_once(store: Store, alice: Visitor) -> None:
    old = make_totp(store, user_of(alice)).recovery_codes
    assert "Make new recovery codes?" in alice.text(CODES)
    made = codes_in(alice.post(CODES))
    assert len(made) == 10
    assert not set(made) & set(old)
    assert codes_in(alice.get(CODES)) == codes_in(alice.get(ACCOUNT)) == []


# What all of them have in common


def test_second_factors_need_a_fresh_session(
    store: Store, clock: ManualClock, alice: Visitor
) -> None:
    make_totp(store, user_of(alice))
    clock.advance(seconds=FRESH.total_seconds())
    removals = [f"{APP}/remove", f"{PASSKEYS}/1/remove"]
    for path in [APP, f"{APP}/confirm", f"{PASSKEYS}/options", PASSKEYS, CODES, *removals]:
        answer = alice.post(path)
        assert answer.status_code == 303, path
        assert answer.location.startswith(f"/users/confirm?next={ACCOUNT}"), path
    assert second_factors.get(store, user_of(alice).id).has_totp


def test_whoever_has_a_second_factor_proves_it_anew(
    store: Store, clock: ManualClock, alice: Visitor
) -> None:
    app = make_totp(store, user_of(alice))
    clock.advance(seconds=7200)
    assert "Verification code" in alice.text(f"/users/confirm?next={CODES}")
    proven = alice.post(f"/users/confirm/verify?next={CODES}", code=app.code())
    assert proven.location.startswith("/users/confirm?next=")
    assert 'name="password"' in alice.text(proven.location)


def test_a_passkey_proves_it_anew(
    store: Store, clock: ManualClock, alice: Visitor, device: Authenticator
) -> None:
    add_passkey(alice, device)
    clock.advance(seconds=7200)
    options = alice.post("/users/confirm/passkey/options").text
    proven = alice.post(f"/users/confirm/passkey?next={CODES}", passkey=device.sign(options))
    assert 'name="password"' in alice.text(proven.location)


@pytest.mark.parametrize("path", [f"{VERIFY}/passkey", "/users/confirm/passkey"])
def test_nobody_without_a_passkey_is_asked_for_one(store: Store, alice: Visitor, path: str) -> None:
    make_totp(store, user_of(alice))
    if path.startswith(VERIFY):
        alice.sign_in(user_of(alice), Stage.SECOND_FACTOR)
    assert alice.post(f"{path}/options").status_code == 404
    assert alice.post(path, passkey="{}").status_code == 422


# Sessions


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Firefox on Linux",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
            " Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15"
            " (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
            "Safari on iPhone",
        ),
        ("curl/8.5.0", "curl"),
        ("something else", "something else"),
        ("", "Unknown browser"),
    ],
)
def test_a_browser_is_put_into_words(user_agent: str, words: str) -> None:
    assert in_words(user_agent) == words


def test_sessions_are_listed_and_ended(app: Flask, store: Store, alice: Visitor) -> None:
    other = Visitor(app, user_of(alice))
    page = alice.text(ACCOUNT)
    assert page.count("This session") == 1
    record = sessions.list_of(store, user_of(alice).id)[0]
    assert "192.0.2.7" in alice.text(f"{SESSIONS}/{record.id}/end")
    assert alice.post(f"{SESSIONS}/{record.id}/end").location == ACCOUNT
    assert other.get(ACCOUNT).location.startswith("/users/sign_in")
    assert alice.get(ACCOUNT).status_code == 200


def test_all_other_sessions_end_at_once(app: Flask, store: Store, alice: Visitor) -> None:
    others = [Visitor(app, user_of(alice)) for _ in range(2)]
    bob = Visitor(app, make_user(store, "bob"))
    assert "End all other sessions?" in alice.text(f"{SESSIONS}/end_others")
    alice.post(f"{SESSIONS}/end_others")
    assert [other.get(ACCOUNT).status_code for other in others] == [303, 303]
    assert (alice.get(ACCOUNT).status_code, bob.get(ACCOUNT).status_code) == (200, 200)


def test_the_session_of_somebody_else_is_not_there(
    app: Flask, store: Store, alice: Visitor
) -> None:
    bob = Visitor(app, make_user(store, "bob"))
    (record,) = sessions.list_of(store, user_of(alice).id)
    path = f"{SESSIONS}/{record.id}/end"
    assert (bob.get(path).status_code, bob.post(path).status_code) == (404, 404)
    assert alice.get(ACCOUNT).status_code == 200


# The password


@pytest.fixture
def carol(app: Flask, store: Store, cheap_hashes: None) -> Visitor:
    """Somebody with a password."""
    return Visitor(app, make_user(store, "carol", password=PASSWORD))


def change(visitor: Visitor, old: str, new: str, again: str | None = None) -> TestResponse:
    fields = {"password": old, "new_password": new, "confirm_new_password": again or new}
    return visitor.post(f"{ACCOUNT}/password", **fields)


def test_a_password_is_changed_and_other_sessions_end(app: Flask, carol: Visitor) -> None:
    other, before = Visitor(app, user_of(carol)), carol.cookie(SESSION)
    assert "Current password" in carol.text(f"{ACCOUNT}/password")
    assert change(carol, PASSWORD, OTHER).location == ACCOUNT
    assert carol.cookie(SESSION) != before
    assert "Your password is changed" in carol.text(ACCOUNT)
    assert other.get(ACCOUNT).status_code == 303
    assert change(carol, PASSWORD, OTHER).status_code == 422


@pytest.mark.parametrize(
    ("old", "new", "again", "said"),
    [
        pytest.param("wrong", OTHER, OTHER, "This is not right.", id="wrong"),
        pytest.param(PASSWORD, OTHER, PASSWORD, "This is not the same.", id="mistyped"),
        pytest.param(PASSWORD, "short", "short", "too short", id="short"),
        pytest.param(PASSWORD, "password", "password", "This", id="common"),
    ],
)
def test_a_password_stays_when_something_is_wrong(
    carol: Visitor, old: str, new: str, again: str, said: str
) -> None:
    refused = change(carol, old, new, again)
    assert refused.status_code == 422
    assert said in html.unescape(refused.text)
    assert not re.search(r'type="password"[^>]*value=', refused.text)
    assert change(carol, PASSWORD, OTHER).status_code == 303
