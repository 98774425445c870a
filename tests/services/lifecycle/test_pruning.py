"""That dead tokens go in portions, and nothing else does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tests.conftest import START, ManualClock
from tests.databases import opened
from tests.factories import make_exchanged, make_token, make_user
from tests.processes import Process
from tests.services.conftest import at_once, events_of, failing
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.errors import StorageUnavailable
from tokensrv.models import Token
from tokensrv.services.lifecycle import pruning, rotation, tokens
from tokensrv.services.lifecycle.pruning import Pruning, prune
from tokensrv.services.lifecycle.token_lists import TokenFilter, list_tokens
from tokensrv.services.records import NewToken, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE
from tokensrv.services.trail.usage import Usage

TODAY = START.date()
DAYS = 30


@pytest.fixture
def alice(store: Store, root: UserRecord) -> UserRecord:
    return make_user(store)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Portions of three tokens, without a pause."""
    monkeypatch.setattr(pruning, "ROWS_A_TRANSACTION", 3)
    monkeypatch.setattr(pruning, "_PAUSE_SECONDS", 0.0)


def _pruned(store: Store, days: int = DAYS) -> list[int]:
    return list(prune(store, COMMAND_LINE, days=days))


def _left(store: Store) -> set[int]:
    with store.read() as session:
        return set(session.scalars(select(Token.id)))


def _revoked(store: Store, user: UserRecord, **wanted: Any) -> NewToken:
    token = make_token(store, user, **wanted)
    tokens.revoke(store, COMMAND_LINE, token.record.id)
    return token


def test_what_lives_or_has_not_been_dead_for_long_stays(
    store: Store, alice: UserRecord, clock: ManualClock
) -> None:
    tomorrow = TODAY + timedelta(days=1)
    kept = [make_token(store, alice), make_token(store, alice, expires_on=TODAY + timedelta(90))]
    make_token(store, alice, expires_on=tomorrow)
    _revoked(store, alice)
    clock.advance(seconds=86_400)
    kept.append(_revoked(store, alice))
    kept.append(make_token(store, alice, expires_on=tomorrow + timedelta(days=1)))
    clock.advance(seconds=DAYS * 86_400)
    # At the very moment it has not been longer than that.
    assert _pruned(store) == [1, 1]
    assert _left(store) == {token.record.id for token in kept}
    clock.advance(seconds=0.001)
    assert _pruned(store) == [1]


def test_what_expired_long_ago_goes_although_it_was_revoked_since(
    store: Store, alice: UserRecord, clock: ManualClock
) -> None:
    token = make_token(store, alice, expires_on=TODAY + timedelta(days=1))
    clock.advance(seconds=(DAYS + 2) * 86_400)
    tokens.revoke(store, COMMAND_LINE, token.record.id)
    assert _pruned(store) == [1]


@pytest.mark.parametrize(
    ("count", "portions"), [(2, [2]), (3, [3]), (4, [3, 1]), (6, [3, 3]), (7, [3, 3, 1])]
)
def test_tokens_go_in_portions_each_with_its_event(
    store: Store,
    alice: UserRecord,
    clock: ManualClock,
    few: None,
    count: int,
    portions: list[int],
) -> None:
    ids = [_revoked(store, alice).record.id for _ in range(count)]
    clock.advance(seconds=(DAYS + 1) * 86_400)
    assert _pruned(store) == portions
    assert _left(store) == set()
    events = events_of(store, "token.pruned")
    assert [event.data["count"] for event in events] == portions
    assert events[-1].data["last_id"] == ids[-1]
    assert {event.data["via"] for event in events} == {"cli"}


def test_between_portions_others_have_their_turn(
    store: Store, alice: UserRecord, clock: ManualClock, few: None
) -> None:
    for _ in range(7):
        _revoked(store, alice)
    clock.advance(seconds=(DAYS + 1) * 86_400)

    def other(_seconds: float) -> None:
        make_token(store, alice, name="between")

    assert list(prune(store, COMMAND_LINE, days=DAYS, pause=other)) == [3, 3, 1]
    assert [token.name for token in list_tokens(store, None, TokenFilter()).items] == [
        "between",
        "between",
    ]


def test_nothing_to_remove_leaves_no_event(store: Store, alice: UserRecord) -> None:
    make_token(store, alice)
    assert _pruned(store) == []
    assert events_of(store, "token.pruned") == []


def test_a_successor_stays_and_forgets_what_was_before_it(
    store: Store, alice: UserRecord, clock: ManualClock
) -> None:
    old = make_token(store, alice).record
    new = rotation.rotate(store, COMMAND_LINE, old.id).record
    clock.advance(seconds=(DAYS + 1) * 86_400)
    assert _pruned(store) == [1]
    assert tokens.get(store, None, new.id).previous_id is None


def test_exchanged_tokens_go_with_their_source(
    store: Store, alice: UserRecord, clock: ManualClock
) -> None:
    source = make_token(store, alice)
    make_exchanged(store, source, alice, expires_at=START + timedelta(hours=1))
    make_exchanged(store, source, alice, expires_at=START + timedelta(days=DAYS + 9))
    tokens.revoke(store, COMMAND_LINE, source.record.id)
    clock.advance(seconds=(DAYS + 1) * 86_400)
    assert _pruned(store) == [1, 1]
    assert _left(store) == set()


def test_two_at_once_remove_each_token_once(
    store: Store, alice: UserRecord, clock: ManualClock, few: None
) -> None:
    for _ in range(20):
        _revoked(store, alice)
    clock.advance(seconds=(DAYS + 1) * 86_400)
    found = at_once([lambda: sum(_pruned(store))] * 3)
    assert sum(found) == 20
    assert _left(store) == set()
    assert sum(event.data["count"] for event in events_of(store, "token.pruned")) == 20


@pytest.mark.postgres
def test_what_somebody_holds_is_left_for_the_next_time(
    store: Store, settings: Settings, alice: UserRecord, clock: ManualClock
) -> None:
    held, other = _revoked(store, alice).record, _revoked(store, alice).record
    clock.advance(seconds=(DAYS + 1) * 86_400)
    with opened(settings, clock) as elsewhere, elsewhere.write() as session:
        session.scalars(select(Token).where(Token.id == held.id).with_for_update()).one()
        assert _pruned(store) == [1]
        assert _left(store) == {held.id}
    assert _pruned(store) == [1]
    assert other.id > held.id


def test_a_failure_keeps_what_was_removed_before_it(
    store: Store, alice: UserRecord, clock: ManualClock, few: None
) -> None:
    for _ in range(5):
        _revoked(store, alice)
    clock.advance(seconds=(DAYS + 1) * 86_400)
    portions = prune(store, COMMAND_LINE, days=DAYS)
    assert next(portions) == 3
    with failing(store, "DELETE FROM token"), pytest.raises(StorageUnavailable):
        next(portions)
    assert len(_left(store)) == 2
    assert _pruned(store) == [2]


class Watched(Pruning):
    """A thread that tells when it has pruned, and does not wait before it does."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.has_pruned = threading.Event()

    def once(self) -> int:
        try:
            return super().once()
        finally:
            self.has_pruned.set()


@pytest.fixture
def watched(settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setattr(pruning, "_FIRST_SECONDS", (0.0, 0.0))
    store.settings = replace(settings, prune_after_days=DAYS)
    watched = Watched(store)
    yield watched
    watched.close()


def test_the_first_use_starts_a_thread_that_prunes(
    store: Store, alice: UserRecord, clock: ManualClock, watched: Watched
) -> None:
    living, _ = make_token(store, alice).record, _revoked(store, alice)
    clock.advance(seconds=(DAYS + 1) * 86_400)
    usage = Usage(store, begins=watched.start)
    usage.used(living.id, alice.id, None)
    assert watched.has_pruned.wait(10)
    usage.close()
    assert _left(store) == {living.id}
    assert [event.data["via"] for event in events_of(store, "token.pruned")] == ["pruning"]


@pytest.mark.parametrize("error", ["OperationalError", "IntegrityError"])
def test_a_failure_does_not_end_the_thread(
    store: Store,
    alice: UserRecord,
    clock: ManualClock,
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
    error: str,
) -> None:
    monkeypatch.setattr(pruning, "_EVERY_SECONDS", 0.0)
    _revoked(store, alice)
    clock.advance(seconds=(DAYS + 1) * 86_400)
    with failing(store, "DELETE FROM token", error):
        watched.start()
        assert watched.has_pruned.wait(10)
    watched.has_pruned.clear()
    assert watched.has_pruned.wait(10)
    watched.has_pruned.clear()
    assert watched.has_pruned.wait(10)
    assert _left(store) == set()


def test_between_two_portions_it_can_be_stopped(
    store: Store, alice: UserRecord, clock: ManualClock, watched: Watched, few: None
) -> None:
    for _ in range(7):
        _revoked(store, alice)
    clock.advance(seconds=(DAYS + 1) * 86_400)
    watched.close()
    assert watched.once() == 3
    assert len(_left(store)) == 4


def test_workers_that_start_at_once_do_not_prune_at_once(store: Store) -> None:
    firsts: list[float] = []

    class Recorded(threading.Event):
        """It is set at once, and remembers for how long it was waited for."""

        def wait(self, timeout: float | None = None) -> bool:
            if timeout is not None:
                firsts.append(timeout)
            return True

    for _ in range(20):
        one = Pruning(store)
        one._stop = Recorded()  # noqa: SLF001  # the one way to see what it waits for
        one._run()  # noqa: SLF001
    assert min(firsts) >= 60
    assert max(firsts) - min(firsts) > 60
    assert len(set(firsts)) == 20


ENDING = """
from dataclasses import replace
from tokensrv.services.lifecycle.pruning import Pruning

class Told(Pruning):
    def _run(self):
        super()._run()
        print("ended", flush=True)

with opened(settings) as store:
    store.settings = replace(settings, prune_after_days=30)
    Told(store).start()
"""


def test_at_the_end_of_the_process_the_thread_ends_too(settings: Settings) -> None:
    assert Process(ENDING, settings).end() == "ended"


def test_a_thread_that_does_not_end_holds_nobody_up(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "_FIRST_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(pruning, "_STOP_SECONDS", 0.05)
    store.settings = replace(settings, prune_after_days=DAYS)
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Pruning):
        def once(self) -> int:
            begun.set()
            assert go_on.wait(20)
            return 0

    slow = Slow(store)
    slow.start()
    assert begun.wait(10)
    slow.close()
    assert slow._thread is not None  # noqa: SLF001  # nobody else asks for it
    assert slow._thread.is_alive()  # noqa: SLF001
    go_on.set()
    slow._thread.join(10)  # noqa: SLF001
    assert not slow._thread.is_alive()  # noqa: SLF001


def test_by_default_nothing_is_started(store: Store) -> None:
    before = threading.active_count()
    Pruning(store).start()
    assert threading.active_count() == before
