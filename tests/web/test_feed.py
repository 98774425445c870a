from __future__ import annotations

import re
from datetime import timedelta

import pytest

from tests.conftest import START, ManualClock
from tests.factories import make_token
from tests.http.test_around import lines
from tests.services.conftest import contents, events_of
from tests.web.conftest import Visitor
from tests.web.test_tokens import PAGE
from tokensrv.db import Store
from tokensrv.services.directory import user_states
from tokensrv.services.trail.events import COMMAND_LINE

CALENDAR = f"{PAGE}/calendar"
BASE = "http://127.0.0.1:8000"
TODAY = START.date()


def _make(visitor: Visitor) -> str:
    """Make a link and return its path."""
    answer = visitor.post(CALENDAR)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    found = re.search(r'readonly value="([^"]+)"', answer.text)
    assert found is not None
    assert found[1].startswith(f"{BASE}/-/calendar/")
    return found[1].removeprefix(BASE)


def test_a_link_is_made_shown_once_and_read_without_a_session(
    store: Store, alice: Visitor, anybody: Visitor
) -> None:
    make_token(store, alice.user, name="backup; of\nall", expires_on=TODAY + timedelta(days=9))
    assert "Make link" in alice.text(PAGE)
    assert "Make a calendar link?" in alice.text(CALENDAR)
    path = _make(alice)
    secret = path.split("/")[-1].removesuffix(".ics")
    for page in (PAGE, CALENDAR):
        assert secret not in alice.text(page)
    assert secret not in repr(contents(store))
    answer = anybody.get(path)
    assert answer.status_code == 200
    assert answer.content_type == "text/calendar; charset=utf-8"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "Set-Cookie" not in answer.headers
    found = answer.text.replace("\r\n ", "").split("\r\n")
    assert "UID:token-1@127.0.0.1" in found
    assert "DTSTART;VALUE=DATE:20260319" in found
    assert "SUMMARY:Token expires: backup\\; of all" in found
    assert "TRIGGER:-P7D" in found
    assert f"URL:{BASE}{PAGE}" in found


def test_a_link_is_replaced_and_revoked_each_behind_a_question(
    store: Store, alice: Visitor, anybody: Visitor
) -> None:
    first = _make(alice)
    text = alice.text(PAGE)
    assert "Replace link" in text
    assert "End link" in text
    assert "Replace the calendar link?" in alice.text(CALENDAR)
    second = _make(alice)
    assert [anybody.get(path).status_code for path in (first, second)] == [404, 200]
    assert "Revoke the calendar link?" in alice.text(f"{CALENDAR}/revoke")
    answer = alice.post(f"{CALENDAR}/revoke")
    assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
    text = alice.text(PAGE)
    assert "The calendar link is revoked." in text
    assert "Make link" in text
    assert anybody.get(second).status_code == 404
    assert alice.post(f"{CALENDAR}/revoke").status_code == 404
    actions = [event.action for event in events_of(store) if event.action.startswith("feed.")]
    assert actions == ["feed.made", "feed.made", "feed.revoked"]


def test_any_other_address_is_as_unknown_as_a_dead_link(alice: Visitor, anybody: Visitor) -> None:
    dead = _make(alice)
    alice.post(f"{CALENDAR}/revoke")
    paths = [dead, "/-/calendar/.ics", "/-/calendar/x.ics", "/-/calendar/x"]
    answers = [anybody.get(path) for path in paths]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1


def test_the_link_of_a_blocked_user_is_dead(store: Store, alice: Visitor, anybody: Visitor) -> None:
    path = _make(alice)
    user_states.block(store, COMMAND_LINE, alice.user.id)
    assert anybody.get(path).status_code == 404


def test_the_link_opens_nothing_else(alice: Visitor, anybody: Visitor) -> None:
    secret = _make(alice).split("/")[-1].removesuffix(".ics")
    anybody.http.set_cookie("tokensrv_session", secret)
    assert anybody.get(PAGE).status_code == 303
    answer = anybody.http.get("/api/v4/user", headers={"PRIVATE-TOKEN": secret})
    assert answer.status_code == 401


def test_no_line_of_the_log_holds_the_link(
    alice: Visitor, anybody: Visitor, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _make(alice)
    capsys.readouterr()
    anybody.get(path)
    anybody.get(f"{path}x")
    anybody.post(path)
    found = lines(capsys)
    assert {line["path"] for line in found if "calendar" in str(line["path"])} == {
        "/-/calendar/***"
    }
    assert path.split("/")[-1] not in str(found)


def test_what_has_expired_is_not_in_it_any_more(
    store: Store, alice: Visitor, anybody: Visitor, clock: ManualClock
) -> None:
    make_token(store, alice.user, expires_on=TODAY + timedelta(days=1))
    path = _make(alice)
    assert "BEGIN:VEVENT" in anybody.get(path).text
    clock.advance(seconds=timedelta(days=1).total_seconds())
    assert "BEGIN:VEVENT" not in anybody.get(path).text
