"""An admin acts as somebody else, from the question to the way back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from tests.conftest import ManualClock
from tests.factories import make_admin, make_token
from tests.services.conftest import contents, events_of
from tests.web.conftest import SESSION, Visitor
from tests.web.test_guarded import House
from tokensrv.db import Store
from tokensrv.models import Token
from tokensrv.services.account.recognition import ACTING
from tokensrv.services.directory import user_states
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

TOKENS = "/-/user_settings/personal_access_tokens"
STOP = "/admin/impersonation/stop"
REASON = "ticket 12"


def _page(user: UserRecord | None) -> str:
    assert user is not None
    return f"/admin/users/{user.id}/impersonate"


def _begin(admin: Visitor, user: UserRecord | None) -> None:
    answer = admin.post(_page(user), reason=REASON)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


def _names(store: Store, action: str) -> list[tuple[str | None, str | None, str | None]]:
    return [(event.actor, event.subject, event.reason) for event in events_of(store, action)]


def test_an_admin_sees_the_pages_of_a_user_and_comes_back(
    store: Store, root: Visitor, alice: Visitor
) -> None:
    before = root.cookie(SESSION)
    _begin(root, alice.user)
    page = root.text(TOKENS)
    assert "You are now impersonating alice." in page
    assert "Stop impersonating" in page
    acting = root.cookie(SESSION)
    answer = root.post(STOP)
    assert answer.status_code == 303
    assert answer.headers["Location"] == _page(alice.user).removesuffix("/impersonate")
    page = root.text(answer.headers["Location"])
    assert "You are no longer impersonating alice." in page
    assert "Stop impersonating" not in page
    assert len({before, acting, root.cookie(SESSION)}) == 3
    seen = alice.text("/-/user_settings/acted_as_me")
    assert "root" in seen
    assert REASON in seen
    assert _names(store, "impersonation.started") == [("root", "alice", REASON)]
    assert _names(store, "impersonation.stopped") == [("root", "alice", REASON)]


def test_opening_the_question_starts_nothing(store: Store, root: Visitor, alice: Visitor) -> None:
    before = contents(store)
    page = root.text(_page(alice.user) + "?reason=a+link+that+somebody+sent")
    assert "Impersonate alice?" in page
    assert contents(store) == before


def test_without_a_reason_nothing_is_done(store: Store, root: Visitor, alice: Visitor) -> None:
    before = contents(store)
    for reason in ("", "  ", "x" * 256):
        answer = root.post(_page(alice.user), reason=reason)
        assert answer.status_code == 422
        assert 'id="reason-error"' in answer.text
    assert contents(store) == before


def test_a_refusal_says_why(store: Store, root: Visitor, alice: Visitor) -> None:
    assert alice.user is not None
    user_states.block(store, COMMAND_LINE, alice.user.id)
    answer = root.post(_page(alice.user), reason=REASON)
    assert answer.status_code == 403
    assert "You cannot impersonate a blocked user" in answer.text


def test_there_is_no_way_from_one_to_the_next(store: Store, root: Visitor, alice: Visitor) -> None:
    _begin(root, alice.user)
    bob = make_admin(store, "bob")
    for answer in (root.get(_page(bob)), root.post(_page(bob), reason=REASON)):
        assert answer.status_code == 403
        assert "while you act as another user" in answer.text
    assert len(events_of(store, "impersonation.started")) == 1


@pytest.mark.parametrize("who", ["anybody", "alice"])
def test_others_cannot_begin_or_stop_it(
    request: pytest.FixtureRequest, store: Store, root: Visitor, who: str
) -> None:
    visitor: Visitor = request.getfixturevalue(who)
    target = make_admin(store, "target")
    for answer in (visitor.post(_page(target), reason=REASON), visitor.post(STOP)):
        assert answer.status_code == (303 if who == "anybody" else 404)
    assert events_of(store, "impersonation.started") == []


def test_whatever_is_changed_meanwhile_is_on_record_with_both_names(
    app: Flask, store: Store, root: Visitor
) -> None:
    house, seen = House(app, store), set()
    assert root.user is not None
    for door in house.doors("POST", acting=True):
        root.sign_in(root.user)
        _begin(root, house.bob)
        before, known = contents(store), len(events_of(store))
        root.post(door.path, reason="another one")
        events = events_of(store)[known:]
        assert events or contents(store) == before, door
        assert {(event.actor, event.subject) for event in events} <= {("root", "bob")}, door
        seen |= {event.action for event in events}
    assert {"impersonation.stopped", "token.revoked"} <= seen


def test_a_token_of_the_user_is_revoked_and_none_is_made(
    store: Store, root: Visitor, alice: Visitor
) -> None:
    assert alice.user is not None
    token = make_token(store, alice.user).record
    _begin(root, alice.user)
    page = root.text(TOKENS)
    assert "Revoke" in page
    assert "Add new token" not in page
    assert root.post(TOKENS, name="mine", scopes="api").status_code == 403
    assert root.post(f"{TOKENS}/{token.id}/rotate").status_code == 403
    assert root.post(f"{TOKENS}/{token.id}/revoke").status_code == 303
    assert _names(store, "token.revoked") == [("root", "alice", REASON)]
    with store.read() as session:
        assert [row.id for row in session.scalars(select(Token))] == [token.id]


def _let_the_hour_pass(store: Store, root: UserRecord, alice: UserRecord) -> None:
    """The test moves the clock."""


def _block(store: Store, root: UserRecord, alice: UserRecord) -> None:
    user_states.block(store, COMMAND_LINE, alice.id)


def _demote(store: Store, root: UserRecord, alice: UserRecord) -> None:
    make_admin(store, "other")
    user_states.demote(store, COMMAND_LINE, root.id)


@pytest.mark.parametrize("what", [_let_the_hour_pass, _block, _demote])
def test_when_it_is_over_nothing_is_open_but_to_stop(
    store: Store, root: Visitor, alice: Visitor, clock: ManualClock, what: Callable[..., None]
) -> None:
    assert root.user is not None
    assert alice.user is not None
    _begin(root, alice.user)
    what(store, root.user, alice.user)
    clock.advance(seconds=ACTING.total_seconds() if what is _let_the_hour_pass else 1)
    for path in (TOKENS, "/admin/users", "/"):
        answer = root.get(path)
        assert answer.status_code == 403
        assert "Stop impersonating to go on" in answer.text
        assert "User menu" not in answer.text
    answer = root.post(STOP)
    back = "/" if what is _demote else f"/admin/users/{alice.user.id}"
    assert (answer.status_code, answer.headers["Location"]) == (303, back)
    assert root.get(TOKENS).status_code == 200


def test_signing_out_ends_it(store: Store, root: Visitor, alice: Visitor) -> None:
    _begin(root, alice.user)
    assert root.post("/users/sign_out").status_code == 303
    assert root.get(TOKENS).headers["Location"].startswith("/users/sign_in")
    assert _names(store, "impersonation.stopped") == [("root", "alice", REASON)]
