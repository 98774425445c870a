"""`/tokensrv/events`: the log, as admins and their programs read it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.factories import make_client, make_token
from tokensrv.db import Store
from tokensrv.services.records import UserRecord
from tokensrv.services.reports.event_exports import as_object
from tokensrv.services.reports.event_lists import EventFilter, list_events

PATH = "/tokensrv/events"


def _seqs(admin: Api, **query: Any) -> list[int]:
    answer = admin.get(PATH, query_string=query)
    assert answer.status_code == 200, answer.text
    return [event["seq"] for event in answer.json]


def test_an_event_is_shown_with_all_its_columns_in_their_order(admin: Api, store: Store) -> None:
    answer = admin.get(PATH)
    expected = [as_object(event) for event in list_events(store, EventFilter())]
    assert answer.json == expected
    assert [list(event) for event in answer.json] == [list(event) for event in expected]


def test_the_log_is_followed_by_asking_for_what_came_after(
    admin: Api, store: Store, alice: UserRecord
) -> None:
    seen = _seqs(admin)
    assert _seqs(admin, since=seen[-1]) == []
    token = make_token(store, alice).record
    make_client(store)
    assert _seqs(admin, since=seen[-1]) == [seen[-1] + 1, seen[-1] + 2]
    assert _seqs(admin, since=seen[-1], limit=1) == [seen[-1] + 1]
    assert _seqs(admin, token_id=token.id) == [seen[-1] + 1]
    assert _seqs(admin, user="alice", action="token.*", last_day="2026-03-10") == [seen[-1] + 1]
    assert _seqs(admin, first_day="2026-03-11") == []


def test_there_are_twenty_at_once_or_a_hundred_at_most(admin: Api, store: Store) -> None:
    for _ in range(99):
        make_client(store)
    assert len(_seqs(admin)) == 20
    assert len(_seqs(admin, limit=101)) == 100


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        pytest.param({"limit": "0"}, "limit does not have a valid value", id="none"),
        pytest.param({"since": "-1"}, "since is invalid", id="negative"),
        pytest.param({"token_id": "x"}, "token_id is invalid", id="no id"),
        pytest.param({"first_day": "2026-13-01"}, "first_day is invalid", id="no day"),
        pytest.param({"actor": "a\0b"}, "actor is invalid", id="not storable"),
    ],
)
def test_what_makes_no_sense_is_named(admin: Api, query: dict[str, str], problem: str) -> None:
    answer = admin.get(PATH, query_string=query)
    assert answer.status_code == 400
    assert answer.json == {"error": problem}
