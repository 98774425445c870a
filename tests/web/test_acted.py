from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from flask.testing import FlaskClient

from tests.conftest import START, ManualClock
from tests.factories import make_exchanged, make_token, make_user
from tests.services.conftest import contents, events_of
from tests.web.conftest import Visitor
from tokensrv.db import Store
from tokensrv.services.records import EventRecord, NewToken
from tokensrv.web.settings.acted import words

PAGE = "/-/user_settings/acted_as_me"


@pytest.fixture
def source(store: Store, root: Visitor) -> NewToken:
    """The token with which root acts as others."""
    return make_token(store, root.user, ("api", "sudo"))


def _act(client: FlaskClient, source: NewToken, reason: str) -> None:
    headers = {"PRIVATE-TOKEN": source.secret, "Sudo": "alice", "Sudo-Reason": reason}
    answer = client.get("/api/v4/user", headers=headers, environ_base={"REMOTE_ADDR": "192.0.2.9"})
    assert answer.status_code == 200


def _rows(text: str) -> list[list[str]]:
    """Return the cells of all rows as people read them."""
    bodies = "".join(re.findall(r"<tbody>(.*?)</tbody>", text, re.DOTALL))
    found = re.findall(r"<tr>(.*?)</tr>", bodies, re.DOTALL)
    return [
        [
            " ".join(unescape(re.sub(r"<[^>]+>", " ", cell)).split())
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        ]
        for row in found
    ]


def test_at_first_nobody_has_acted_as_one(alice: Visitor) -> None:
    assert "Nobody has acted as you." in alice.text(PAGE)


def test_who_acted_is_shown_with_when_what_why_and_from_where(
    alice: Visitor, client: FlaskClient, source: NewToken, clock: ManualClock
) -> None:
    _act(client, source, "<b>ticket</b> 7")
    clock.advance(seconds=120)
    token = f"token {source.record.id}"
    assert _rows(alice.text(PAGE)) == [
        [
            "2 minutes ago",
            "root",
            f"Acted as you: GET /api/v4/user {token}",
            "<b>ticket</b> 7",
            "192.0.2.9",
        ]
    ]


def test_what_was_done_stands_there_too_and_nothing_of_ones_own(
    store: Store, alice: Visitor, root: Visitor, source: NewToken
) -> None:
    own = make_token(store, alice.user).record
    alice.post(f"/-/user_settings/personal_access_tokens/{own.id}/revoke")
    other = make_token(store, alice.user).record
    root.act_as(alice.user)
    root.post(f"/-/user_settings/personal_access_tokens/{other.id}/revoke")
    (row,) = _rows(alice.text(PAGE))
    assert row[1:3] == ["root", f"Revoked a token of yours token {other.id}"]


def test_a_long_list_has_older_ones(alice: Visitor, client: FlaskClient, source: NewToken) -> None:
    for number in range(22):
        _act(client, source, f"reason {number}")
    first = alice.text(PAGE)
    assert len(_rows(first)) == 20
    assert _rows(first)[0][3] == "reason 21"
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert older is not None
    second = alice.text(unescape(older[1]))
    assert [row[3] for row in _rows(second)] == ["reason 1", "reason 0"]
    assert "Newest" in second
    assert 'rel="next"' not in second
    assert "Nothing older" in alice.text(f"{PAGE}?before=1")


def test_a_token_that_acts_as_one_is_listed_and_can_be_revoked(
    store: Store, alice: Visitor, source: NewToken
) -> None:
    ends = START + timedelta(minutes=30)
    lent = make_exchanged(store, source, alice.user, ("read_user",), expires_at=ends).record
    (row,) = _rows(alice.text(PAGE))
    assert row == [
        f"root token {lent.id}",
        "service",
        "read_user",
        "No reason given",
        "in 30 minutes",
        "Revoke",
    ]
    path = f"{PAGE}/{lent.id}/revoke"
    assert '<button class="button is-bad">Revoke</button>' in alice.text(path)
    answer = alice.post(path)
    assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
    assert _rows(alice.text(PAGE)) == []
    (event,) = events_of(store, "token.revoked")
    assert (event.actor, event.token_id) == ("alice", lent.id)
    # What is gone is as unknown as what never was.
    assert alice.get(path).status_code == 404


def test_nothing_else_is_revoked_here(store: Store, alice: Visitor, source: NewToken) -> None:
    own = make_token(store, alice.user)
    others = [
        own.record.id,
        make_exchanged(store, own, alice.user).record.id,
        make_exchanged(store, source, make_user(store, "bob")).record.id,
        source.record.id,
        999,
    ]
    before = contents(store)
    for token_id in others:
        path = f"{PAGE}/{token_id}/revoke"
        assert (alice.get(path).status_code, alice.post(path).status_code) == (404, 404)
    assert contents(store) == before


def _event(action: str, **data: object) -> EventRecord:
    return EventRecord(
        seq=1, at=START, action=action, actor_id=1, actor="root", subject_id=2, subject="alice",
        token_id=None, client_id=None, ip=None, request_id=None, reason=None, data=dict(data),
        prev_hash="", hash="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("event", "found"),
    [
        (_event("sudo.used", method="GET", path="/x"), "Acted as you: GET /x"),
        (_event("sudo.refused", method="GET", path="/x"), "Was refused to act as you: GET /x"),
        (_event("sudo.counted", count=7), "The same again, 7 times within this minute"),
        (_event("impersonation.started"), "Began to act as you in the browser"),
        (_event("token.exchanged"), "Got a token that acts as you"),
        (_event("something.quite_new"), "Something quite new"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.action,
)
def test_each_is_put_into_words(event: EventRecord, found: str) -> None:
    assert words(event) == found
