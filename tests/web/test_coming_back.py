"""Whoever signs in anew in the middle of something finds it again, as he left it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from werkzeug.test import TestResponse

from tests.conftest import ManualClock
from tests.factories import make_client, make_token, make_user
from tests.keys import key_for, public
from tests.web.conftest import SESSION, Visitor
from tokensrv.db import Store
from tokensrv.services.account.sessions import LIFETIME
from tokensrv.services.directory import clients, user_states
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

TOKENS = "/-/user_settings/personal_access_tokens"
OVERRIDE = "\u202e"


def _afterwards(visitor: Visitor, user: UserRecord, answer: TestResponse) -> TestResponse:
    """Return the page that the sign-in leads to."""
    assert answer.status_code == 303
    [wanted] = parse_qs(urlsplit(answer.headers["Location"]).query)["next"]
    visitor.sign_in(user)
    return visitor.get(wanted)


def _sent_too_late(
    visitor: Visitor, clock: ManualClock, path: str, **fields: object
) -> TestResponse:
    """Send a form whose session has ended meanwhile; return what is there after the sign-in."""
    user = visitor.user
    assert user is not None
    clock.advance(seconds=LIFETIME.total_seconds())
    return _afterwards(visitor, user, visitor.post(path, **fields))


def test_a_day_that_was_taken_out_stays_out(alice: Visitor, clock: ManualClock) -> None:
    again = _sent_too_late(alice, clock, TOKENS, name="for good", expires_at="", scopes=["api"])
    assert again.status_code == 200
    assert 'value="for good"' in again.text
    assert 'name="expires_at" type="date" autocomplete="off" value=""' in again.text
    assert 'value="api" checked' in again.text


def test_only_what_is_too_long_for_an_address_is_lost(alice: Visitor, clock: ManualClock) -> None:
    name, description = "名" * 255, "長" * 255
    again = _sent_too_late(
        alice,
        clock,
        TOKENS,
        name=name,
        description=description,
        scopes=["api"],
        audience="x" * 9_000,
    )
    assert name in again.text
    assert description in again.text
    assert "xxx" not in again.text


def test_a_clients_keys_are_still_there(store: Store, root: Visitor, clock: ManualClock) -> None:
    keys = public(key_for("ES256"))
    client_id = make_client(store, jwks=keys).record.client_id
    path = f"/admin/clients/{client_id}/edit"
    again = _sent_too_late(root, clock, path, name="renamed", auth_methods=["client_secret_basic"])
    assert 'value="renamed"' in again.text
    assert keys["keys"][0]["x"] in again.text
    assert clients.get(store, client_id).jwks is not None


def test_whoever_stops_acting_too_late_comes_to_the_start(
    store: Store, root: Visitor, clock: ManualClock
) -> None:
    root.act_as(make_user(store))
    again = _sent_too_late(root, clock, "/admin/impersonation/stop")
    assert (again.status_code, urlsplit(again.headers["Location"]).path) == (303, TOKENS)


@pytest.mark.parametrize("path", ["/nowhere", "/admin/nowhere"])
def test_the_menu_is_on_the_page_of_an_address_that_nothing_has(
    alice: Visitor, anybody: Visitor, path: str
) -> None:
    found = alice.get(path)
    assert found.status_code == 404
    assert 'aria-label="User menu"' in found.text
    assert 'aria-label="User menu"' not in anybody.get(path).text


def test_a_promotion_ends_the_sessions_from_before_it(store: Store, alice: Visitor) -> None:
    cookie = alice.cookie(SESSION)
    assert alice.user is not None
    user_states.promote(store, COMMAND_LINE, alice.user.id)
    assert alice.get("/admin").status_code == 303
    alice.sign_in(alice.user)
    assert alice.cookie(SESSION) != cookie
    assert alice.get("/admin").status_code == 200


def test_no_name_turns_the_title_of_a_page(store: Store, root: Visitor) -> None:
    token = make_token(store, make_user(store), name=f"{OVERRIDE}exe.gpj").record
    client = make_client(store, f"{OVERRIDE}exe.gpj").record
    for path in (
        f"/admin/tokens/{token.id}",
        f"/admin/clients/{client.client_id}",
        f"/admin/clients/{client.client_id}/edit",
    ):
        title = root.text(path).partition("<title>")[2].partition("</title>")[0]
        assert "exe.gpj" in title
        assert OVERRIDE not in title
