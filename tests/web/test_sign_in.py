from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from werkzeug.datastructures import MultiDict

from tests.conftest import ManualClock
from tests.factories import make_admin, make_session, make_user
from tests.services.conftest import contents
from tests.web.conftest import SESSION, VISIT, Visitor
from tokensrv.app import create_app
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.models import Totp
from tokensrv.services.account.proof import Denied, Reason
from tokensrv.services.account.sessions import FRESH, PENDING
from tokensrv.services.account.throttle import PASSWORD as LIMIT
from tokensrv.services.directory import user_states, users
from tokensrv.services.trail.events import COMMAND_LINE
from tokensrv.web import csrf
from tokensrv.web.forms import Form
from tokensrv.web.sign_in import steps

pytestmark = pytest.mark.usefixtures("cheap_hashes")

PASSWORD = "correct horse battery"
SIGN_IN = "/users/sign_in"
TOKENS = "/-/user_settings/personal_access_tokens"
GUESS = {"login": "alice", "password": "guessed password"}
ALICE = {"login": "alice", "password": PASSWORD}


@pytest.fixture(autouse=True)
def _alice(store: Store) -> None:
    make_user(store)
    make_admin(store)
    give_password(store)


def give_password(store: Store, *, is_expired: bool = False) -> None:
    user = users.find(store, "alice")
    assert user is not None
    users.set_password(store, COMMAND_LINE, user.id, PASSWORD, is_expired=is_expired)


def give_second_factor(store: Store, clock: ManualClock) -> None:
    user, at = users.find(store, "alice"), users.utcnow(clock)
    assert user is not None
    row = Totp(user_id=user.id, secret_encrypted="", created_at=at, confirmed_at=at)
    with store.write() as session:
        session.add(row)


def test_somebody_signs_in_and_is_where_he_wanted_to_go(anybody: Visitor) -> None:
    asked = anybody.get(f"{TOKENS}?state=inactive&name=a%26b")
    assert asked.status_code == 303
    assert urlsplit(asked.location).path == SIGN_IN
    answer = anybody.post(asked.location, **ALICE)
    assert (answer.status_code, answer.location) == (303, f"{TOKENS}?state=inactive&name=a%26b")
    assert anybody.get(SIGN_IN).status_code == 303


def test_without_a_wish_he_is_at_the_start(anybody: Visitor) -> None:
    assert anybody.post(SIGN_IN, **ALICE).location == "/"


def test_nobody_is_led_to_another_host(app: Flask) -> None:
    for wish in (
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\r\n/evil.example",
        "javascript:alert(1)",
        "evil.example",
        "",
    ):
        with app.test_request_context(SIGN_IN, query_string={"next": wish}):
            assert steps.wanted() == "/", wish
    with app.test_request_context(SIGN_IN, query_string={"next": f"{TOKENS}?name=é//"}):
        assert steps.wanted() == f"{TOKENS}?name=é//"


def _seed(visitor: Visitor) -> str:
    visitor.get(SIGN_IN)
    return visitor.cookie(VISIT) or ""


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(GUESS, id="wrong password"),
        pytest.param({"login": "nobody", "password": PASSWORD}, id="unknown name"),
        pytest.param({"login": "nobody@example.org", "password": PASSWORD}, id="unknown address"),
        pytest.param({"login": "root", "password": PASSWORD}, id="no password"),
        pytest.param({"login": "mallory", "password": "guessed password"}, id="blocked"),
        pytest.param({}, id="nothing"),
    ],
)
def test_who_has_an_account_is_told_to_nobody(
    store: Store, anybody: Visitor, given: dict[str, str]
) -> None:
    user_states.block(store, COMMAND_LINE, make_user(store, "mallory", password=PASSWORD).id)
    answer = anybody.post(SIGN_IN, **given)
    text = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert '<div class="notice is-bad" role="alert">Invalid login or password.</div>' in text
    assert anybody.cookie(SESSION) is None
    # All that differs is what was typed.
    blank = re.sub(r' value="[^"]*"', "", text)
    assert blank == re.sub(r' value="[^"]*"', "", anybody.post(SIGN_IN, **GUESS).text)
    assert given.get("password", PASSWORD) not in text


def test_who_is_blocked_is_told_so_once_he_has_shown_who_he_is(
    store: Store, anybody: Visitor
) -> None:
    user_states.block(store, COMMAND_LINE, make_user(store, "mallory", password=PASSWORD).id)
    answer = anybody.post(SIGN_IN, login="mallory", password=PASSWORD)
    assert answer.status_code == 422
    assert "Your account has been blocked." in answer.text
    assert contents(store)["web_session"] == []


def test_too_many_attempts_are_told_when_to_come_back(
    settings: Settings, clock: ManualClock
) -> None:
    app = create_app(replace(settings, throttle=True), clock)
    visitor = Visitor(app)
    for login in ["alice", "ALICE"] * (LIMIT.count // 2):
        assert visitor.post(SIGN_IN, **GUESS | {"login": login}).status_code == 422
    clock.advance(seconds=61)
    answers = [visitor.post(SIGN_IN, **given) for given in (GUESS, ALICE)]
    for answer in answers:
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "839")
        assert "Too many attempts. Try again in 14 minutes." in answer.text
    unknown = [visitor.post(SIGN_IN, login="nobody") for _ in range(LIMIT.count + 1)]
    assert unknown[-1].status_code == 429
    clock.advance(seconds=839)
    assert visitor.post(SIGN_IN, **ALICE).status_code == 303


def test_a_form_of_another_site_signs_nobody_in(app: Flask, store: Store) -> None:
    visitor, other = Visitor(app), Visitor(app)
    _seed(visitor)
    for token in ("", "junk", csrf.token_for(_seed(other))):
        answer = visitor.http.post(SIGN_IN, data={csrf.FIELD: token} | ALICE)
        assert answer.status_code == 403
    token = csrf.token_for(visitor.cookie(VISIT) or "")
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = visitor.http.post(SIGN_IN, data={csrf.FIELD: token} | ALICE, headers=headers)
    assert answer.status_code == 403
    assert contents(store)["web_session"] == []


def test_a_cookie_that_was_planted_is_worth_nothing_afterwards(
    app: Flask, store: Store, anybody: Visitor
) -> None:
    bob = make_session(store, make_user(store, "bob"))
    anybody.http.set_cookie(SESSION, bob.secret)
    anybody.post(SIGN_IN, **ALICE)
    assert anybody.cookie(SESSION) not in (None, bob.secret)
    thief = Visitor(app)
    thief.http.set_cookie(SESSION, bob.secret)
    assert urlsplit(thief.get("/").location).path == SIGN_IN


def test_the_cookie_of_a_session_is_for_this_host_and_no_script(anybody: Visitor) -> None:
    answer = anybody.post(SIGN_IN, **ALICE)
    [cookie] = [line for line in answer.headers.getlist("Set-Cookie") if SESSION in line]
    value, *flags = cookie.split("; ")
    assert set(flags) >= {"HttpOnly", "Path=/", "SameSite=Lax", "Max-Age=1209600"}
    assert "Secure" not in flags
    assert len(value.partition("=")[2]) >= 43
    assert answer.headers["Cache-Control"] == "no-store"


def test_over_https_no_neighbour_can_plant_it(settings: Settings, clock: ManualClock) -> None:
    app = create_app(replace(settings, external_url="https://tokens.example.org"), clock)
    http = app.test_client()
    base = "https://tokens.example.org"
    shown = http.get(SIGN_IN, base_url=base)
    seed = http.get_cookie(f"__Host-{VISIT}", "tokens.example.org")
    assert seed is not None
    assert shown.headers["Strict-Transport-Security"].startswith("max-age=")
    form = {csrf.FIELD: csrf.token_for(seed.value)} | ALICE
    answer = http.post(SIGN_IN, base_url=base, data=form)
    [cookie] = [line for line in answer.headers.getlist("Set-Cookie") if SESSION in line]
    assert cookie.startswith(f"__Host-{SESSION}=")
    assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


def test_a_field_says_what_browsers_fill_in(anybody: Visitor) -> None:
    text = anybody.text(SIGN_IN)
    for field in (
        'id="login" name="login" type="text" autocomplete="username"',
        'id="password" name="password" type="password" autocomplete="current-password"',
    ):
        assert field in text
    assert "autofocus" not in text


def test_a_second_factor_comes_next_and_remembers_the_wish(
    store: Store, clock: ManualClock, anybody: Visitor
) -> None:
    give_second_factor(store, clock)
    answer = anybody.post(f"{SIGN_IN}?next={TOKENS}", **ALICE)
    assert answer.location == f"/users/sign_in/verify?next={TOKENS}"
    assert "Verification code" in anybody.text(answer.location)
    elsewhere = urlsplit(anybody.get(TOKENS).location)
    assert (elsewhere.path, parse_qs(elsewhere.query)) == (
        "/users/sign_in/verify",
        {"next": [TOKENS]},
    )
    wrong = anybody.post(answer.location, code="junk")
    assert wrong.status_code == 422
    assert "This is not right." in wrong.text
    clock.advance(seconds=PENDING.total_seconds())
    assert urlsplit(anybody.get(answer.location).location).path == SIGN_IN


def test_a_password_that_an_admin_chose_is_changed_first(store: Store, anybody: Visitor) -> None:
    give_password(store, is_expired=True)
    step = anybody.post(f"{SIGN_IN}?next={TOKENS}", **ALICE).location
    assert urlsplit(step).path == "/users/password/new"
    old = anybody.cookie(SESSION)
    text = anybody.text(step)
    for words in ("New password", "Confirm new password", "Change password"):
        assert words in text
    for new, again, sentence in (
        ("x" * 7, "x" * 7, "This is too short (minimum is 8 characters)."),
        (PASSWORD, PASSWORD, "This must not be the one that somebody else has chosen."),
        ("staple of a new one", "staple of another", "This is not the same."),
    ):
        refused = anybody.post(step, new_password=new, confirm_new_password=again)
        assert refused.status_code == 422
        assert sentence in refused.text
        assert new not in refused.text
    new = "staple of a new one"
    answer = anybody.post(step, new_password=new, confirm_new_password=new)
    assert answer.location == TOKENS
    assert anybody.cookie(SESSION) != old
    assert urlsplit(anybody.get(step).location).path == "/"


def test_who_signed_in_long_ago_confirms_with_his_password(
    store: Store, clock: ManualClock, anybody: Visitor
) -> None:
    anybody.post(SIGN_IN, **ALICE)
    clock.advance(seconds=FRESH.total_seconds())
    old, address = anybody.cookie(SESSION), f"/users/confirm?next={TOKENS}"
    assert "Confirm that it is you" in anybody.text(address)
    wrong = anybody.post(address, password="guessed password")
    assert (wrong.status_code, anybody.cookie(SESSION)) == (422, old)
    assert 'id="password-error" role="alert">This is not right.' in wrong.text
    assert anybody.post(address, password=PASSWORD).location == TOKENS
    assert anybody.cookie(SESSION) != old


def test_a_second_factor_is_proven_anew_before_the_password(
    store: Store, clock: ManualClock, anybody: Visitor
) -> None:
    anybody.post(SIGN_IN, **ALICE)
    give_second_factor(store, clock)
    text = anybody.text("/users/confirm?next=/")
    assert 'action="/users/confirm/verify?next=/"' in text.replace("%2F", "/")
    assert anybody.post("/users/confirm", password=PASSWORD).location == "/users/confirm"
    assert anybody.post("/users/confirm/verify", code="junk").status_code == 422


@pytest.mark.parametrize("path", [SIGN_IN, "/users/password/reset"])
def test_a_page_for_everybody_is_complete_without_scripts(anybody: Visitor, path: str) -> None:
    text = anybody.text(path)
    assert 'method="post"' in text
    assert not re.search(r"<script(?![^>]* src=)|\son\w+=|\sstyle=", text)


def test_a_sign_in_page_that_was_left_open_starts_again(
    store: Store, clock: ManualClock, anybody: Visitor
) -> None:
    give_second_factor(store, clock)
    anybody.post(SIGN_IN, **ALICE)
    assert anybody.get(SIGN_IN).status_code == 200
    anybody.post(SIGN_IN, **ALICE)
    assert len(contents(store)["web_session"]) == 1


def test_how_long_to_wait_is_told_in_words(app: Flask) -> None:
    for seconds, words in (
        (1, "in 1 minute."),
        (61, "in 2 minutes."),
        (90 * 60, "in 90 minutes."),
        (90 * 60 + 1, "in 2 hours."),
        (86_400, "in 24 hours."),
    ):
        with app.test_request_context(SIGN_IN):
            denied = Denied(Reason.TOO_MANY, seconds)
            answer = steps.refuse("sign_in/sign_in.html", Form(MultiDict()), denied)
        assert f"Too many attempts. Try again {words}" in answer.get_data(as_text=True)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, str(seconds))
