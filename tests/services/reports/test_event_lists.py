"""Lists of events: which are found, in which order, and where a page ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from tests.conftest import START, ManualClock
from tests.factories import make_token, make_user, origin_of
from tests.services.conftest import events_of
from tokensrv.db import Store
from tokensrv.errors import NotFound
from tokensrv.services.directory import users
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import UserRecord
from tokensrv.services.reports import event_lists
from tokensrv.services.reports.event_lists import EventFilter, each, page
from tokensrv.services.trail import events
from tokensrv.services.trail.events import COMMAND_LINE, NewEvent, Origin

TODAY = START.date()
DAY = timedelta(days=1)
HERE = Origin(ip="192.0.2.7", request_id="request-7", client_id="service")


def _append(store: Store, count: int, *, origin: Origin = COMMAND_LINE, **new: Any) -> None:
    with store.write() as session:
        events.append(session, store.clock, origin, [NewEvent(**{"action": "a.b"} | new)] * count)


def _seqs(store: Store, **wanted: Any) -> list[int]:
    return [event.seq for event in page(store, EventFilter(**wanted)).items]


def test_pages_lead_from_the_latest_event_to_the_oldest_and_back(store: Store) -> None:
    _append(store, 7)
    wanted = EventFilter(limit=3)
    first = page(store, wanted)
    second = page(store, wanted, before=first.older)
    last = page(store, wanted, before=second.older)
    assert [[event.seq for event in part.items] for part in (first, second, last)] == [
        [7, 6, 5],
        [4, 3, 2],
        [1],
    ]
    assert (first.newer, last.older) == (None, None)
    assert page(store, wanted, after=last.newer) == replace(second, older=2, newer=4)
    assert page(store, wanted, after=second.newer).items == first.items
    assert page(store, wanted, after=second.newer).newer is None


def test_what_nobody_did_is_an_empty_page(store: Store) -> None:
    _append(store, 1)
    nothing = page(store, EventFilter(action="c.d"))
    assert (nothing.items, nothing.older, nothing.newer) == ((), None, None)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param({"action": "token.created"}, [4, 3], id="action"),
        pytest.param({"action": "token.*"}, [6, 4, 3], id="family"),
        pytest.param({"action": "tok.*"}, [], id="no part of a family"),
        pytest.param({"action": "token"}, [], id="no part of an action"),
        pytest.param({"action": ".*"}, [], id="no pattern"),
        pytest.param({"token_id": 2}, [6, 4], id="token"),
        pytest.param({"client_id": "service"}, [5], id="client"),
        pytest.param({"ip": "192.0.2.7"}, [6, 5], id="address"),
        pytest.param({"request_id": "request-7"}, [5], id="request"),
        pytest.param({"request_id": "request-7", "token_id": 2}, [], id="all must hold"),
        pytest.param({"actor": "ROOT"}, [6], id="actor"),
        pytest.param({"subject": "root"}, [], id="subject"),
        pytest.param({"actor": "nobody"}, [], id="unknown actor"),
        pytest.param({"user": "alice"}, [6, 4, 2], id="as whom, and whom it is about"),
        pytest.param({"user": "1"}, [6, 3, 1], id="who acted, by id"),
        pytest.param({"user": "alice", "action": "token.*"}, [6, 4], id="user and family"),
        pytest.param({"user": "alice", "action": "user.created"}, [2], id="user and action"),
        pytest.param({"user": "alice", "limit": 1}, [6], id="the latest"),
    ],
)
def test_events_are_found_by(
    store: Store, root: UserRecord, wanted: dict[str, Any], found: list[int]
) -> None:
    alice = make_user(store)
    sudo = make_token(store, root, ("api", "sudo"))
    own = make_token(store, alice).record.id
    _append(store, 1, origin=HERE, token_id=7)
    tokens.revoke(store, origin_of(store, sudo.secret, sudo="alice"), own)
    assert _seqs(store, **wanted) == found


def test_a_deleted_user_is_followed_by_his_last_name_and_his_successor_is_not_he(
    store: Store, root: UserRecord
) -> None:
    alice = make_user(store)
    users.delete(store, COMMAND_LINE, alice.id)
    assert _seqs(store, user="Alice") == _seqs(store, user=str(alice.id)) == [3, 2]
    make_user(store)
    assert _seqs(store, user="alice") == [4]


@pytest.mark.parametrize(
    ("days", "found"),
    [
        pytest.param((None, None), [4, 3, 2, 1], id="all"),
        pytest.param((TODAY + DAY, None), [4, 3], id="from midnight"),
        pytest.param((None, TODAY), [2, 1], id="to the end of the day"),
        pytest.param((TODAY + DAY, TODAY + DAY), [3], id="one day"),
        pytest.param((TODAY + 9 * DAY, None), [], id="nothing so late"),
        pytest.param((None, TODAY - DAY), [], id="nothing so early"),
        pytest.param((TODAY + DAY, TODAY), [], id="no day at all"),
        pytest.param((date.min, date.max), [4, 3, 2, 1], id="ever"),
    ],
)
def test_days_are_whole_and_in_utc(
    store: Store, clock: ManualClock, days: tuple[date | None, date | None], found: list[int]
) -> None:
    midnight = START.replace(hour=0)
    for moment in (START, midnight + DAY - timedelta(milliseconds=1), midnight + DAY):
        clock.set(moment)
        _append(store, 1)
    clock.set(midnight + 2 * DAY)
    _append(store, 1)
    assert _seqs(store, first_day=days[0], last_day=days[1]) == found


def test_a_day_holds_what_a_node_with_a_slower_clock_wrote_later(
    store: Store, clock: ManualClock
) -> None:
    midnight = START.replace(hour=0)
    for seconds in (5, -5, 10, -10):
        clock.set(midnight + timedelta(seconds=seconds))
        _append(store, 1)
    assert _seqs(store, first_day=TODAY) == [3, 1]
    assert _seqs(store, last_day=TODAY - DAY) == [4, 2]


def test_an_event_is_found_by_its_place(store: Store) -> None:
    _append(store, 2)
    assert event_lists.get(store, 2) == events_of(store)[1]
    with pytest.raises(NotFound):
        event_lists.get(store, 3)


def test_actions_are_those_that_occur(store: Store) -> None:
    assert event_lists.actions(store) == ()
    for action in ("user.created", "token.created", "user.created", "client.created"):
        _append(store, 1, action=action)
    assert event_lists.actions(store) == ("client.created", "token.created", "user.created")


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_lists, "BATCH", 2)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("count", range(5))
def test_each_event_comes_once_however_many_batches_there_are(store: Store, count: int) -> None:
    _append(store, count, action="a.b")
    _append(store, 3, action="c.d")
    found = each(store, EventFilter(action="a.b", limit=1))
    assert [event.seq for event in found] == list(range(1, count + 1))


@pytest.mark.usefixtures("small_batches")
def test_what_happens_while_events_are_taken_is_left_out(store: Store) -> None:
    _append(store, 3)
    found = each(store, EventFilter())
    first = next(found)
    # Whoever takes his time holds nothing that a writer would wait for.
    _append(store, 3)
    assert [first.seq, *(event.seq for event in found)] == [1, 2, 3]


@pytest.mark.usefixtures("small_batches")
def test_a_user_in_several_parts_is_taken_in_order(store: Store, root: UserRecord) -> None:
    alice = make_user(store)
    secret = make_token(store, alice).secret
    for _ in range(3):
        tokens.revoke(store, origin_of(store, secret), make_token(store, alice).record.id)
    found = [event.seq for event in each(store, EventFilter(user="alice"))]
    assert found == list(range(2, 10))
