"""The event log as an admin finds, follows and exports it."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from tests.factories import make_client, make_token, make_user, origin_of
from tests.services.conftest import failing
from tests.web.conftest import Visitor
from tokensrv.db import Store
from tokensrv.services.lifecycle import tokens
from tokensrv.services.reports import event_lists, inventory
from tokensrv.services.reports.event_exports import COLUMNS, as_object
from tokensrv.services.reports.event_lists import EventFilter, list_events
from tokensrv.web.admin import events
from tokensrv.web.downloads import CUT

EVENTS = "/admin/events"
TOKENS = "/admin/tokens/export"
HOSTILE = '<script>alert(1)</script>\u202e"=1+1'


def _listed(visitor: Visitor, query: str = "") -> list[int]:
    """Return which events a page lists."""
    html = visitor.text(f"{EVENTS}{query}")
    return [int(seq) for seq in re.findall(r'<a href="/admin/events/(\d+)">', html)]


def _link(html: str, words: str) -> str:
    found = re.search(rf'href="([^"]*)"[^>]*>{words}</a>', html)
    assert found, words
    return found[1].replace("&amp;", "&")


@pytest.fixture
def acted(root: Visitor, store: Store) -> int:
    """A token of alice's that root revoked as her; returns its id."""
    assert root.user is not None
    alice = make_user(store)
    own = make_token(store, alice).record.id
    sudo = make_token(store, root.user, ("api", "sudo")).secret
    tokens.revoke(store, origin_of(store, sudo, sudo="alice", reason=HOSTILE), own)
    return own


def test_an_event_tells_who_acted_as_whom_on_what_and_why(root: Visitor, acted: int) -> None:
    html = root.text(EVENTS)
    rows = re.findall(r"<tr>(.*?)</tr>", html[html.index("<tbody>") :], re.DOTALL)
    assert [re.findall(r">(\w+\.\w+)</a>", row) for row in rows[:2]] == [
        ["token.revoked"],
        ["token.created"],
    ]
    for words in ("root", "alice", f"Token {acted}", "192.0.2.7"):
        assert f">{words}</" in rows[0]
    assert "Command line" in rows[1]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("?user=alice", [5, 3, 2], id="user"),
        pytest.param("?action=token.*", [5, 4, 3], id="family"),
        pytest.param("?token_id=1", [5, 3], id="token"),
        pytest.param("?actor=root&subject=alice", [5], id="actor and subject"),
        pytest.param("?ip=192.0.2.7", [5], id="address"),
        pytest.param("?request_id=request-1", [5], id="request"),
        pytest.param("?first_day=2026-03-11", [], id="from a day"),
        pytest.param("?last_day=2026-03-10&before=3", [2, 1], id="page"),
        pytest.param("?user=nobody", [], id="nobody"),
    ],
)
@pytest.mark.usefixtures("acted")
def test_filters_stand_in_the_address(root: Visitor, query: str, found: list[int]) -> None:
    assert _listed(root, query) == found


@pytest.mark.usefixtures("acted")
def test_what_was_asked_for_stays_in_the_form_and_can_be_cleared(root: Visitor) -> None:
    html = root.text(f"{EVENTS}?user=alice&ip=192.0.2.7")
    assert re.search(r'name="user"[^>]* value="alice"', html)
    assert re.search(r'name="ip"[^>]* value="192.0.2.7"', html)
    assert '<details class="more" open>' in html
    assert _link(html, "Clear filters") == EVENTS
    assert '<details class="more">' in root.text(f"{EVENTS}?user=alice")


@pytest.mark.usefixtures("acted")
def test_actions_and_their_families_are_proposed(root: Visitor) -> None:
    html = root.text(EVENTS)
    assert re.findall(r'<option value="([^"]*)">', html) == [
        "token.*",
        "user.*",
        "token.created",
        "token.revoked",
        "user.created",
    ]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        pytest.param("?token_id=seven", "This is not a number.", id="token"),
        pytest.param("?first_day=yesterday", "This is not a date", id="day"),
        pytest.param("?user=a%00b", "Nothing can be called so.", id="not storable"),
    ],
)
def test_what_makes_no_sense_is_said_beside_its_field(
    root: Visitor, query: str, problem: str
) -> None:
    answer = root.get(f"{EVENTS}{query}")
    assert answer.status_code == 422
    assert problem in answer.text
    assert 'aria-invalid="true"' in answer.text
    away = root.get(f"{EVENTS}/export.csv{query}")
    assert (away.status_code, away.headers["Location"]) == (303, f"{EVENTS}{query}")


def test_pages_lead_on_with_the_same_filters(
    root: Visitor, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_A_PAGE", 2)
    for _ in range(5):
        make_client(store)
    html = root.text(f"{EVENTS}?action=client.created")
    older = _link(html, "Older")
    assert older == f"{EVENTS}?before=5&action=client.created"
    html = root.text(older)
    last = _link(html, "Older")
    assert _listed(root, last.removeprefix(EVENTS)) == [2]
    assert _link(html, "Newer") == f"{EVENTS}?after=4&action=client.created"
    assert _link(html, "Latest") == f"{EVENTS}?action=client.created"


def test_an_event_shows_its_data_and_its_place_in_the_chain(
    root: Visitor, store: Store, acted: int
) -> None:
    event = list_events(store, EventFilter(token_id=acted))[-1]
    html = root.text(f"{EVENTS}/{event.seq}")
    assert "2026-03-10 12:00:00.000 UTC" in html
    for text in (event.hash, event.prev_hash, "request-1", "192.0.2.7", "user_id"):
        assert text in html
    assert _link(html, "Event 4") == f"{EVENTS}/4"
    assert root.text(_link(html, "Show token"))
    assert "Event 6" not in html
    assert "Event 5" in root.text(f"{EVENTS}/4")
    assert root.get(f"{EVENTS}/6").status_code == 404


@pytest.mark.usefixtures("acted")
def test_what_somebody_typed_is_shown_and_does_nothing(root: Visitor) -> None:
    for path in (EVENTS, f"{EVENTS}/5"):
        html = root.text(path)
        assert "<script>alert" not in html
        assert "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;\u202e&#34;=1+1</bdi>" in html


@pytest.mark.usefixtures("acted")
def test_exports_hold_what_the_filters_leave_the_oldest_first(root: Visitor, store: Store) -> None:
    html = root.text(f"{EVENTS}?user=alice")
    expected = [as_object(event) for event in list_events(store, EventFilter(user="alice"))]
    answer = root.get(_link(html, "Export JSON Lines"))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="events.jsonl"'
    assert [json.loads(line) for line in answer.text.splitlines()] == expected
    answer = root.get(_link(html, "Export CSV"))
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="events.csv"'
    head, *rows = csv.reader(io.StringIO(answer.text, newline=""))
    assert tuple(head) == COLUMNS
    assert [int(row[0]) for row in rows] == [event["seq"] for event in expected]
    assert rows[-1][head.index("reason")] == HOSTILE


@pytest.mark.usefixtures("acted")
@pytest.mark.parametrize("path", [f"{EVENTS}/export.csv", f"{EVENTS}/export.jsonl", TOKENS])
def test_a_file_that_is_cut_off_says_so(
    root: Visitor, store: Store, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(event_lists, "BATCH", 1)
    monkeypatch.setattr(inventory, "_PORTION", 1)
    whole = root.text(path)
    answer = root.get(path)
    with failing(store, "SELECT"):
        # It has begun, and its status is sent.
        cut = answer.get_data(as_text=True)
    assert (answer.status_code, cut.endswith(f"\n{CUT}")) == (200, True)
    assert whole.startswith(cut.removesuffix(CUT))
    with failing(store, "SELECT"):
        assert root.get(path).status_code == 503


def test_there_is_no_other_kind_of_file(root: Visitor) -> None:
    assert root.get(f"{EVENTS}/export.xml").status_code == 404
