"""What short-lived processes remember of each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import ManualClock
from tests.databases import opened
from tests.factories import make_exchanged, make_token, make_user
from tests.live.servers import wait_for
from tests.services.conftest import at_once, events_of, failing
from tests.services.gates.conftest import visit_of
from tests.services.trail.test_events import assert_unbroken
from tokensrv import lookup
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain.gates import Entry, Gate, NoEntry
from tokensrv.errors import StorageUnavailable
from tokensrv.services.gates import entry
from tokensrv.services.gates.ssh.brief_usage import brief_usage
from tokensrv.services.lifecycle import tokens
from tokensrv.services.trail import repetitions
from tokensrv.services.trail.events import COMMAND_LINE
from tokensrv.services.trail.usage import Usage


@pytest.fixture
def store(settings: Settings, clock: ManualClock) -> Iterator[Store]:
    with opened(replace(settings, throttle=True), clock) as store:
        yield store


def come(store: Store, secret: str, ip: str = "192.0.2.7", **wanted: Any) -> Entry | NoEntry:
    """Return what becomes of a token in a process of its own."""
    with brief_usage(store) as usage:
        visit = visit_of(gate=Gate.SSH, ip=ip, **wanted)
        return entry.enter(store, usage, lookup.build(store), visit, secret)


def refusals(store: Store) -> list[str]:
    return [event.data["check"] for event in events_of(store, "gate.refused")]


def counted(store: Store) -> list[tuple[str, int]]:
    events = events_of(store, "gate.counted")
    return [(event.data["check"], event.data["count"]) for event in events]


def test_ten_refusals_of_a_minute_are_written_whichever_processes_they_were(
    store: Store, clock: ManualClock
) -> None:
    for _ in range(12):
        come(store, "nonsense")
    assert refusals(store) == ["unknown"] * 10
    clock.advance(seconds=60)
    come(store, "nonsense")
    assert refusals(store) == ["unknown"] * 11


def test_the_rest_of_a_minute_is_one_event_for_whoever_comes_by_after_it(
    store: Store, clock: ManualClock
) -> None:
    for _ in range(13):
        come(store, "nonsense")
    assert counted(store) == []
    clock.advance(seconds=60)
    secret = make_token(store, make_user(store)).secret
    # Anybody does, and whoever comes after him finds nothing more to tell.
    for _ in range(2):
        assert isinstance(come(store, secret), Entry)
    [told] = events_of(store, "gate.counted")
    more = {"of": "gate.refused", "count": 3, "minute": "2026-03-10T12:00:00.000Z"}
    assert told.data == {"gate": "ssh", "check": "unknown"} | more
    assert told.ip == "192.0.2.7"
    assert_unbroken(events_of(store))


def test_the_server_tells_it_where_nobody_comes_by(
    store: Store, clock: ManualClock, settings: Settings
) -> None:
    for _ in range(11):
        come(store, "nonsense")
    clock.advance(seconds=60)
    with opened(replace(settings, last_used_flush_seconds=0.1), clock) as served:
        usage = Usage(served)
        usage.start()
        wait_for(lambda: counted(store), "the thread of the server")
        usage.close()
    assert counted(store) == [("unknown", 1)]


def test_it_is_told_once_however_many_come_by(store: Store, clock: ManualClock) -> None:
    for _ in range(11):
        come(store, "nonsense")
    clock.advance(seconds=60)
    at_once([lambda: come(store, "nonsense")] * 4)
    assert counted(store) == [("unknown", 1)]


def test_what_cannot_be_told_is_told_later(store: Store, clock: ManualClock) -> None:
    for _ in range(11):
        come(store, "nonsense")
    clock.advance(seconds=60)
    secret = make_token(store, make_user(store)).secret
    with failing(store, "DELETE"), pytest.raises(StorageUnavailable):
        come(store, secret)
    assert counted(store) == []
    come(store, secret)
    assert counted(store) == [("unknown", 1)]


def test_a_token_that_is_tried_again_is_counted_as_that_token(
    store: Store, clock: ManualClock
) -> None:
    token = make_token(store, make_user(store))
    tokens.revoke(store, COMMAND_LINE, token.record.id)
    for _ in range(13):
        come(store, token.secret, ip="192.0.2.1")
    clock.advance(seconds=60)
    come(store, "nonsense")
    [told] = events_of(store, "gate.counted")
    assert (told.actor, told.token_id, told.data["count"]) == ("alice", token.record.id, 3)
    assert (told.data["check"], told.ip) == ("revoked", "192.0.2.1")


def test_whoever_tries_many_things_with_a_known_token_fills_no_log(
    store: Store, clock: ManualClock
) -> None:
    secret = make_token(store, make_user(store), ("read_user",)).secret
    for number in range(13):
        come(store, secret, path=f"/{number}", scopes=("read_repository",))
    clock.advance(seconds=60)
    come(store, "nonsense")
    [told] = events_of(store, "gate.counted")
    assert refusals(store) == [*["wanted"] * 10, "unknown"]
    assert told.data["count"] == 3
    assert "path" not in told.data


def test_other_networks_and_other_reasons_have_events_of_their_own(store: Store) -> None:
    revoked = make_token(store, make_user(store))
    tokens.revoke(store, COMMAND_LINE, revoked.record.id)
    for _ in range(11):
        come(store, "nonsense")
    come(store, "nonsense", ip="198.51.100.9")
    come(store, revoked.secret)
    assert refusals(store) == [*["unknown"] * 11, "revoked"]


def test_a_flood_writes_ten_events_when_it_begins_and_ten_when_it_is_stopped(
    store: Store, clock: ManualClock
) -> None:
    for _ in range(62):
        assert isinstance(come(store, "nonsense"), NoEntry)
    assert refusals(store) == [*["unknown"] * 10, *["too_many"] * 10]
    clock.advance(seconds=60)
    # Whoever has a good one gets in from the same place.
    assert isinstance(come(store, make_token(store, make_user(store)).secret), Entry)
    assert sorted(counted(store)) == [("too_many", 2), ("unknown", 40)]


def test_processes_at_once_write_no_more_and_miss_nothing(store: Store, clock: ManualClock) -> None:
    for _ in range(8):
        come(store, "nonsense")
    at_once([lambda: come(store, "nonsense")] * 4)
    assert refusals(store) == ["unknown"] * 10
    clock.advance(seconds=60)
    repetitions.tell(store)
    assert counted(store) == [("unknown", 2)]


def test_the_use_is_written_before_the_process_ends(store: Store) -> None:
    new = make_token(store, make_user(store))
    come(store, new.secret)
    assert tokens.get(store, None, new.record.id).last_used_ips == ("192.0.2.7",)


def test_somebody_who_acts_as_another_is_on_record_before_he_gets_in(store: Store) -> None:
    root = make_user(store, "root", is_admin=True)
    source = make_token(store, root, ("api", "sudo"))
    exchanged = make_exchanged(store, source, make_user(store))
    assert isinstance(come(store, exchanged.secret), Entry)
    [used] = events_of(store, "sudo.used")
    assert (used.actor, used.subject) == ("root", "alice")


def test_what_somebody_does_as_another_is_told_one_by_one_however_much(store: Store) -> None:
    root = make_user(store, "root", is_admin=True)
    source = make_token(store, root, ("api", "sudo"))
    exchanged = make_exchanged(store, source, make_user(store))
    paths = [f"/team/{number}.git" for number in range(2 * repetitions.WRITTEN)]
    for path in paths:
        assert isinstance(come(store, exchanged.secret, path=path), Entry)
    assert [event.data["path"] for event in events_of(store, "sudo.used")] == paths
