"""What short-lived processes remember of each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.conftest import ManualClock
from tests.databases import opened
from tests.factories import make_exchanged, make_token, make_user
from tests.services.conftest import at_once, events_of
from tests.services.gates.conftest import visit_of
from tokensrv import lookup
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain.gates import Entry, Gate, NoEntry
from tokensrv.services import tokens
from tokensrv.services.events import COMMAND_LINE
from tokensrv.services.gates import entry
from tokensrv.services.gates.ssh.brief_usage import brief_usage


@pytest.fixture
def store(settings: Settings, clock: ManualClock) -> Iterator[Store]:
    with opened(replace(settings, throttle=True), clock) as store:
        yield store


def come(store: Store, secret: str, ip: str = "192.0.2.7") -> Entry | NoEntry:
    """Return what becomes of a token in a process of its own."""
    with brief_usage(store) as usage:
        visit = visit_of(gate=Gate.SSH, ip=ip)
        return entry.enter(store, usage, lookup.build(store), visit, secret)


def refusals(store: Store) -> list[str]:
    return [event.data["check"] for event in events_of(store, "gate.refused")]


def test_ten_refusals_of_a_minute_are_written_whichever_processes_they_were(
    store: Store, clock: ManualClock
) -> None:
    for _ in range(12):
        come(store, "nonsense")
    assert refusals(store) == ["unknown"] * 10
    clock.advance(seconds=60)
    come(store, "nonsense")
    assert refusals(store) == ["unknown"] * 11


def test_other_networks_and_other_reasons_have_events_of_their_own(store: Store) -> None:
    revoked = make_token(store, make_user(store))
    tokens.revoke(store, COMMAND_LINE, revoked.record.id)
    for _ in range(11):
        come(store, "nonsense")
    come(store, "nonsense", ip="198.51.100.9")
    come(store, revoked.secret)
    assert refusals(store) == [*["unknown"] * 11, "revoked"]


def test_a_flood_writes_ten_events_when_it_begins_and_ten_when_it_is_stopped(store: Store) -> None:
    for _ in range(62):
        assert isinstance(come(store, "nonsense"), NoEntry)
    assert refusals(store) == [*["unknown"] * 10, *["too_many"] * 10]
    # Whoever has a good one gets in from the same place.
    assert isinstance(come(store, make_token(store, make_user(store)).secret), Entry)


def test_processes_at_once_write_no_more(store: Store) -> None:
    for _ in range(8):
        come(store, "nonsense")
    at_once([lambda: come(store, "nonsense")] * 4)
    assert refusals(store) == ["unknown"] * 10


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
