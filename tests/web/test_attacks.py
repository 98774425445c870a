"""What somebody tries who means harm, or whose browser does what no browser should."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.conftest import ManualClock
from tests.factories import make_admin, make_totp, make_user
from tests.services.conftest import contents, failing
from tests.web.conftest import SESSION, VISIT, Visitor
from tokensrv.app import create_app
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.services.account import sessions
from tokensrv.services.account.sessions import FRESH, IDLE, Stage
from tokensrv.services.directory import user_states
from tokensrv.services.trail.events import COMMAND_LINE
from tokensrv.web import assets, csrf
from tokensrv.web.access import PAGES

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

pytestmark = pytest.mark.usefixtures("cheap_hashes")

SIGN_IN, CONFIRM, VERIFY = "/users/sign_in", "/users/confirm", "/users/sign_in/verify"
RESET, NEW_PASSWORD = "/users/password/reset", "/users/password/new"
TOKENS, ACCOUNT = "/-/user_settings/personal_access_tokens", "/-/user_settings/account"
NEW_TOKEN = f"{TOKENS}/new"
PASSWORD, OTHER = "a lonely heron on the pier", "seven otters under a bridge"
FORM = "application/x-www-form-urlencoded"


def token_of(visitor: Visitor) -> str:
    return csrf.token_for(visitor.cookie(SESSION) or visitor.cookie(VISIT) or "")


def id_of(visitor: Visitor) -> int:
    assert visitor.user is not None
    return visitor.user.id


def parts(count: int, token: str) -> bytes:
    """Return a form of so many fields as browsers send files."""
    fields = [(csrf.FIELD, token), *((f"field-{i}", "x") for i in range(count - 1))]
    lines = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields
    ]
    return "".join([*lines, "--x--\r\n"]).encode()


# A password alone


def test_a_changed_password_is_no_way_around_the_second_factor(
    store: Store, clock: ManualClock, app: Flask
) -> None:
    user = make_user(store, password=PASSWORD)
    make_totp(store, user)
    alice = Visitor(app, user)
    clock.advance(seconds=FRESH.total_seconds())
    changed = {"password": PASSWORD, "new_password": OTHER, "confirm_new_password": OTHER}
    assert alice.post(f"{ACCOUNT}/password", **changed).location == ACCOUNT
    removal = alice.post(f"{ACCOUNT}/authenticator/remove")
    assert urlsplit(removal.location).path == CONFIRM


# Time


class Slow(io.BytesIO):
    """A body of which nothing comes before something else has happened."""

    def __init__(self, content: bytes, meanwhile: Callable[[], object]) -> None:
        super().__init__(content)
        self._meanwhile = meanwhile

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        self._meanwhile()
        return super().readinto(buffer)


@pytest.mark.parametrize("end", ["signed out elsewhere", "blocked"])
def test_a_form_that_comes_slowly_does_not_outlive_its_session(
    store: Store, alice: Visitor, end: str
) -> None:
    make_admin(store)
    ends = {
        "signed out elsewhere": lambda: end_all(store, id_of(alice)),
        "blocked": lambda: user_states.block(store, COMMAND_LINE, id_of(alice)),
    }
    fields = {csrf.FIELD: token_of(alice), "name": "too late", "scopes": "api", "submission": "1"}
    form = urlencode(fields).encode()
    answer = alice.http.post(
        TOKENS,
        input_stream=Slow(form, ends[end]),
        content_length=len(form),
        content_type=FORM,
    )
    assert urlsplit(answer.location).path == SIGN_IN
    assert contents(store)["token"] == []


def end_all(store: Store, user_id: int) -> None:
    with store.write() as session:
        sessions.end_all(session, user_id)


# What no browser sends


@pytest.mark.parametrize("path", [SIGN_IN, RESET, CONFIRM, TOKENS, ACCOUNT, "/admin", "/docs", "/"])
def test_letters_that_no_address_has_are_refused(root: Visitor, path: str) -> None:
    answer = root.get(path, environ_overrides={"QUERY_STRING": "next=\xff\xfe"})
    assert answer.status_code == 400
    assert "The address holds letters that no address can have." in answer.text


@pytest.fixture
def doors(app: Flask) -> list[str]:
    """Return every address that takes a form, those of somebody who does not exist included."""
    kinds = ("token", "user", "session", "passkey", "link", "rule", "key")
    numbers = {f"{kind}_id": 9 for kind in kinds}
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint in PAGES]
    built = [
        rule.build(numbers | {"client_id": "nobody"}, append_unknown=False)
        for rule in rules
        if "POST" in (rule.methods or ()) and rule.endpoint != "web.leaving.sign_out"
    ]
    found = [pair[1] for pair in built if pair is not None]
    assert len(found) == len(built)
    return found


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        pytest.param("text/plain", 403, id="what a foreign form can say without asking"),
        pytest.param("application/json", 403, id="JSON"),
        pytest.param("multipart/form-data", 403, id="no boundary"),
        pytest.param("multipart/form-data; boundary=y", 403, id="another boundary"),
        pytest.param("multipart/form-data; boundary=x", 413, id="a thousand parts"),
        pytest.param("", 403, id="no type"),
    ],
)
def test_a_body_that_is_no_form_of_ours_does_nothing(
    store: Store, doors: list[str], root: Visitor, kind: str, status: int
) -> None:
    before = contents(store)
    body = parts(1_001, token_of(root)) if "multipart" in kind else f"csrf_token={token_of(root)}"
    answers = [root.http.post(path, data=body, content_type=kind) for path in doors[::4]]
    at_the_door = [answer.status_code for answer in answers if answer.status_code != 303]
    assert set(at_the_door) == {status}
    assert contents(store) == before


def test_letters_that_no_database_takes_break_no_form(
    store: Store, doors: list[str], root: Visitor
) -> None:
    names = {name for page in PAGES.values() for name in page.keeps}
    names |= {"login", "password", "code", "passkey", "submission", "token", "back"}
    names |= {"new_password", "confirm_new_password", "confirm"}
    odd = dict.fromkeys(names, "a\0b\ud800" * 4)
    for path in doors:
        body = urlencode({csrf.FIELD: token_of(root)} | odd, errors="surrogatepass")
        answer = root.http.post(path, data=body, content_type=FORM)
        assert answer.status_code < 500, path


@pytest.mark.parametrize(
    "cookie", [f"{SESSION}=", f"{SESSION}=\xff\xfe", f'{SESSION}="\\377\\000"', "=;;=", "x" * 9_000]
)
def test_a_cookie_that_nobody_gave_out_is_nobodys(app: Flask, store: Store, cookie: str) -> None:
    answer = app.test_client().get(SIGN_IN, environ_overrides={"HTTP_COOKIE": cookie})
    assert answer.status_code == 200
    assert contents(store)["web_session"] == []


# Files


def test_no_name_that_a_stranger_makes_up_is_kept(app: Flask) -> None:
    caches = [value for value in vars(assets).values() if hasattr(value, "cache_info")]
    assert caches
    http = app.test_client()
    assert http.get(assets_address(app)).status_code == 200
    before = [cache.cache_info().currsize for cache in caches]
    for name in ("made-up.css", "made-up.js", "admission.py", "..", "tokensrv.css"):
        assert http.get(f"/-/assets/0/{name}").status_code == 404
    assert [cache.cache_info().currsize for cache in caches] == before


def assets_address(app: Flask) -> str:
    with app.test_request_context():
        return assets.address("tokensrv.css")


# Storage, keys


def test_without_storage_nobody_signs_in_and_is_told_so(app: Flask, store: Store) -> None:
    make_user(store, password=PASSWORD)
    visitor = Visitor(app)
    visitor.get(SIGN_IN)
    with failing(store, ""):
        answer = visitor.post(SIGN_IN, login="alice", password=PASSWORD)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "Something that this page needs does not answer." in answer.text
    assert visitor.cookie(SESSION) is None


def test_without_storage_pages_still_have_their_style(
    app: Flask, store: Store, alice: Visitor
) -> None:
    assert alice.get(TOKENS).status_code == 200
    with failing(store, ""):
        assert alice.get(TOKENS).status_code == 503
        assert alice.get(assets_address(app)).status_code == 200


@pytest.fixture
def without_key(settings: Settings, clock: ManualClock, tmp_path: Path) -> Iterator[Flask]:
    app = create_app(replace(settings, master_key_file=tmp_path / "gone"), clock)
    yield app
    app.extensions["tokensrv_lookup"].close()
    app.extensions["tokensrv"].close()


def test_without_the_master_key_a_recovery_code_still_opens(
    store: Store, alice: Visitor, without_key: Flask
) -> None:
    user = alice.user
    assert user is not None
    app = make_totp(store, user)
    visitor = Visitor(without_key)
    visitor.sign_in(user, Stage.SECOND_FACTOR)
    refused = visitor.post(VERIFY, code=app.code())
    assert refused.status_code == 503
    assert "Something that this page needs does not answer." in refused.text
    assert visitor.post(VERIFY, code=app.recovery_codes[0]).location == "/"


# Errors in words


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/users/sign_out", 405), ("POST", SIGN_IN, 413)]
)
def test_what_is_no_fault_of_ours_is_not_called_one(
    anybody: Visitor, method: str, path: str, status: int
) -> None:
    answer = anybody.http.open(
        path, method=method, data=b"x" * 70_000, headers={"Accept": "text/html"}
    )
    assert answer.status_code == status
    assert "Nothing was done." in answer.text
    assert "our fault" not in answer.text


# The way back


def next_of(answer: TestResponse) -> list[str]:
    return parse_qs(urlsplit(answer.location).query).get("next", [])


def test_a_session_that_ends_while_somebody_confirms_loses_no_wish(
    clock: ManualClock, alice: Visitor
) -> None:
    clock.advance(seconds=IDLE.total_seconds())
    assert next_of(alice.post(f"{CONFIRM}?next={TOKENS}")) == [TOKENS]
    assert next_of(alice.post(f"{CONFIRM}/verify")) == [CONFIRM]


def test_a_form_that_is_too_long_for_an_address_does_not_break_the_way_back(
    clock: ManualClock, alice: Visitor
) -> None:
    clock.advance(seconds=IDLE.total_seconds())
    fields = {"name": "a name", "description": "ä" * 255, "scopes": "api"}
    assert next_of(alice.post(TOKENS, **fields)) == [f"{NEW_TOKEN}?{urlencode(fields)}"]
    assert next_of(alice.post(TOKENS, description="x" * 60_000)) == [NEW_TOKEN]


@pytest.mark.parametrize("value", ["alice", ""])
def test_a_session_never_goes_with_a_sudo(root: Visitor, value: str) -> None:
    assert root.http.get("/admin/users", headers={"Sudo": value}).status_code == 403
