from __future__ import annotations

import dataclasses
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from tests.conftest import START, ManualClock, QueryRecorder
from tests.databases import opened
from tests.factories import make_token, make_user, origin_of
from tests.processes import Process
from tests.services.conftest import at_once, events_of, failing
from tests.services.trail.test_events import assert_unbroken
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.errors import StorageUnavailable
from tokensrv.models import Token
from tokensrv.services.directory import users
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import NewToken, TokenRecord, UserRecord
from tokensrv.services.trail import usage as usage_module
from tokensrv.services.trail.events import COMMAND_LINE, NewEvent
from tokensrv.services.trail.last_used import LAST_IPS, latest_ips
from tokensrv.services.trail.repeated import Repeated
from tokensrv.services.trail.usage import Usage

IPS = st.lists(st.sampled_from([f"192.0.2.{number}" for number in range(9)]), max_size=12)
KEY = Repeated("sudo.used", 1, 2, "client")
EVENT = NewEvent(action="sudo.used", token_id=1, data={"path": "/"})

_USER = """
from tokensrv.services.trail.usage import Usage
with opened(settings, SystemClock()) as store:
    usage = Usage(store)
    usage.used({token}, {user}, "192.0.2.9")
    print("used", flush=True)
    {end}
"""


@pytest.fixture
def token(store: Store, root: UserRecord) -> NewToken:
    return make_token(store, root)


def _shown(store: Store, token: NewToken) -> TokenRecord:
    return tokens.get(store, None, token.record.id)


def _use(usage: Usage, token: NewToken, *ips: str | None) -> None:
    for ip in ips:
        usage.used(token.record.id, token.record.user_id, ip)


def test_a_use_is_written_by_the_next_flush_and_not_before(
    store: Store, token: NewToken, usage: Usage, query_recorder: QueryRecorder
) -> None:
    query_recorder.clear()
    _use(usage, token, "192.0.2.1", "2001:db8::1", None)
    assert query_recorder.statements == []
    usage.flush()
    shown = _shown(store, token)
    assert (shown.last_used_at, shown.last_used_ips) == (START, ("192.0.2.1", "2001:db8::1"))
    assert users.get(store, token.record.user_id).last_activity_at == START


def test_nothing_used_is_nothing_written(
    store: Store, token: NewToken, usage: Usage, query_recorder: QueryRecorder
) -> None:
    _use(usage, token, None)
    usage.flush()
    query_recorder.clear()
    usage.flush()
    assert query_recorder.statements == []


def test_a_use_changes_nothing_that_a_user_changed(
    store: Store, token: NewToken, usage: Usage, clock: ManualClock
) -> None:
    _use(usage, token, "192.0.2.1")
    clock.advance(seconds=1)
    usage.flush()
    assert _shown(store, token).updated_at == START
    assert users.get(store, token.record.user_id).updated_at == START


@given(known=IPS, more=IPS)
def test_the_five_latest_distinct_addresses_are_kept(known: list[str], more: list[str]) -> None:
    before = latest_ips((), known)
    after = latest_ips(before, more)
    every = [*known, *more]
    assert len(after) == min(LAST_IPS, len(set(every)))
    assert list(after) == sorted(set(after), key=lambda ip: len(every) - every[::-1].index(ip))
    assert set(every[-1:]) <= set(after[-1:])


def test_addresses_are_merged_with_those_already_written(
    store: Store, token: NewToken, usage: Usage
) -> None:
    _use(usage, token, "192.0.2.1", "192.0.2.2", "192.0.2.3")
    usage.flush()
    _use(usage, token, "192.0.2.4", "192.0.2.1", "192.0.2.5", "192.0.2.6")
    usage.flush()
    assert _shown(store, token).last_used_ips == tuple(f"192.0.2.{n}" for n in (3, 4, 1, 5, 6))


@pytest.mark.parametrize("ip", ["", "x", "192.0.2.1 192.0.2.2", "\0", "\ud800", "fe80::1%\0"])
def test_what_is_no_address_is_left_out_and_spoils_no_flush(
    store: Store, token: NewToken, usage: Usage, ip: str
) -> None:
    _use(usage, token, "192.0.2.1", ip)
    usage.flush()
    shown = _shown(store, token)
    assert (shown.last_used_at, shown.last_used_ips) == (START, ("192.0.2.1",))


def test_last_used_never_goes_back(
    store: Store, token: NewToken, usage: Usage, clock: ManualClock
) -> None:
    _use(usage, token, "192.0.2.1")
    clock.set(START + timedelta(hours=1))
    other = Usage(store)
    _use(other, token, "192.0.2.2")
    other.close()
    usage.flush()
    shown = _shown(store, token)
    assert shown.last_used_at == START + timedelta(hours=1)
    assert users.get(store, token.record.user_id).last_activity_at == START + timedelta(hours=1)


def test_a_clock_that_jumps_back_takes_nothing_back(
    store: Store, token: NewToken, usage: Usage, clock: ManualClock
) -> None:
    _use(usage, token, None)
    usage.flush()
    clock.set(START - timedelta(hours=1))
    _use(usage, token, None)
    usage.flush()
    assert _shown(store, token).last_used_at == START


def test_uses_of_a_deleted_token_hold_nothing_up(
    store: Store, token: NewToken, usage: Usage
) -> None:
    gone = make_token(store, make_user(store))
    _use(usage, gone, None)
    _use(usage, token, None)
    users.delete(store, COMMAND_LINE, gone.record.user_id)
    usage.flush()
    assert _shown(store, token).last_used_at == START


def test_many_uses_are_written_in_several_transactions(
    store: Store,
    root: UserRecord,
    usage: Usage,
    query_recorder: QueryRecorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(usage_module, "ROWS_A_TRANSACTION", 3)
    used = [make_token(store, root) for _ in range(7)]
    for token in used:
        _use(usage, token, None)
    query_recorder.clear()
    usage.flush()
    assert len(query_recorder.selects) == 3
    assert all(_shown(store, token).last_used_at == START for token in used)


def test_who_comes_to_write_during_a_flush_is_served_between_two_of_its_batches(
    store: Store,
    root: UserRecord,
    usage: Usage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(usage_module, "ROWS_A_TRANSACTION", 3)
    alice, created, seen = make_user(store), threading.Event(), []
    for token in [make_token(store, root) for _ in range(7)]:
        _use(usage, token, None)
    real = usage_module.last_used.write

    def create() -> None:
        make_token(store, alice)
        created.set()

    creating = threading.Thread(target=create)

    def write(session: Session, uses: dict[int, object]) -> None:
        real(session, uses)
        theirs = select(func.count()).where(Token.user_id == alice.id)
        seen.append((len(uses), session.scalar(theirs)))
        if len(seen) == 1:
            creating.start()
            # On SQLite it queues; on PostgreSQL nothing holds it up at all.
            _wait_until(lambda: created.is_set() or _is_somebody_queued(store))

    monkeypatch.setattr(usage_module.last_used, "write", write)
    usage.flush()
    creating.join(10)
    assert seen == [(3, 0), (3, 1), (1, 1)]


def _is_somebody_queued(store: Store) -> bool:
    writers = store._writers  # noqa: SLF001  # nothing else tells that somebody waits
    return writers is not None and bool(writers._lock._waiters)  # noqa: SLF001


def test_what_a_failed_flush_left_behind_is_written_once_and_with_what_came_since(
    store: Store, root: UserRecord, usage: Usage, query_recorder: QueryRecorder
) -> None:
    first, second = make_token(store, root), make_token(store, root)
    _use(usage, first, "192.0.2.1")
    with failing(store, "UPDATE"), pytest.raises(StorageUnavailable):
        usage.flush()
    _use(usage, second, "192.0.2.2")
    usage.flush()
    assert _shown(store, first).last_used_ips == ("192.0.2.1",)
    assert _shown(store, second).last_used_ips == ("192.0.2.2",)
    query_recorder.clear()
    usage.flush()
    assert query_recorder.statements == []


def test_while_storage_is_away_nothing_is_lost(
    store: Store, token: NewToken, usage: Usage, clock: ManualClock
) -> None:
    _use(usage, token, "192.0.2.1", "192.0.2.2")
    usage.written(KEY, COMMAND_LINE, EVENT)
    assert usage.is_repeated(KEY)
    clock.advance(seconds=60)
    with failing(store, "SELECT"):
        for _ in range(2):
            with pytest.raises(StorageUnavailable):
                usage.flush()
    with failing(store, "UPDATE"):
        _use(usage, token, "192.0.2.1")
        with pytest.raises(StorageUnavailable):
            usage.flush()
    usage.flush()
    shown = _shown(store, token)
    assert shown.last_used_ips == ("192.0.2.2", "192.0.2.1")
    assert shown.last_used_at == START + timedelta(seconds=60)
    (row,) = events_of(store, "sudo.counted")
    assert row.data["count"] == 1


def test_a_use_while_a_flush_fails_is_merged_with_what_it_could_not_write(
    store: Store, token: NewToken, usage: Usage, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        clock.advance(seconds=1)
        _use(usage, token, "192.0.2.2")
        raise StorageUnavailable

    _use(usage, token, "192.0.2.1")
    with monkeypatch.context() as away:
        away.setattr(usage_module.last_used, "write", fail)
        with pytest.raises(StorageUnavailable):
            usage.flush()
    usage.flush()
    shown = _shown(store, token)
    assert shown.last_used_ips == ("192.0.2.1", "192.0.2.2")
    assert shown.last_used_at == START + timedelta(seconds=1)


def test_a_flush_that_fails_half_way_writes_the_rest_later(
    store: Store, root: UserRecord, usage: Usage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_module, "ROWS_A_TRANSACTION", 2)
    used = [make_token(store, root) for _ in range(5)]
    for token in used:
        _use(usage, token, None)
    written = []
    real = usage_module.last_used.write

    def write_once(session: object, uses: object) -> None:
        if written:
            raise StorageUnavailable
        written.append(True)
        real(session, uses)

    with monkeypatch.context() as away:
        away.setattr(usage_module.last_used, "write", write_once)
        with pytest.raises(StorageUnavailable):
            usage.flush()
    assert [_shown(store, t).last_used_at == START for t in used] == [True, True, *[False] * 3]
    usage.flush()
    assert all(_shown(store, token).last_used_at == START for token in used)


def test_uses_during_a_flush_are_for_the_next_one(
    store: Store, token: NewToken, usage: Usage
) -> None:
    at_once(
        [
            *[lambda: [_use(usage, token, None) for _ in range(200)]] * 3,
            lambda: [usage.flush() for _ in range(5)],
        ]
    )
    usage.flush()
    assert _shown(store, token).last_used_at == START


def test_a_blocked_writer_does_not_hold_up_who_uses_tokens(
    store: Store, token: NewToken, usage: Usage
) -> None:
    with store.write() as session:
        session.execute(update(Token).values(name="held"))
        flushing = threading.Thread(target=usage.flush)
        _use(usage, token, None)
        flushing.start()
        time.sleep(0.05)
        begin = time.perf_counter()
        _use(usage, token, *["192.0.2.1"] * 100)
        assert time.perf_counter() - begin < 0.5
        assert flushing.is_alive()
    flushing.join(10)
    usage.flush()
    assert _shown(store, token).last_used_ips == ("192.0.2.1",)


@pytest.mark.parametrize("error", ["OperationalError", "IntegrityError"])
def test_the_thread_writes_by_itself_and_outlives_a_failure(
    settings: Settings, clock: ManualClock, caplog: pytest.LogCaptureFixture, error: str
) -> None:
    quick = dataclasses.replace(settings, last_used_flush_seconds=0.1)
    with opened(quick, clock) as store:
        token = make_token(store, make_user(store))
        usage = Usage(store)
        with failing(store, "UPDATE", error), caplog.at_level(logging.WARNING, "tokensrv.usage"):
            _use(usage, token, None)
            _wait_until(lambda: "usage.flush_failed" in caplog.text)
        _use(usage, token, None)
        _wait_until(lambda: _shown(store, token).last_used_at == START)
        usage.close()


def _wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_one_thread_serves_a_process_however_many_begin_at_once(
    store: Store, token: NewToken, usage: Usage
) -> None:
    at_once([lambda: _use(usage, token, None)] * 8)
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("tokensrv-usage") == 1


def _user_of(settings: Settings, token: NewToken, end: str) -> Process:
    script = _USER.format(token=token.record.id, user=token.record.user_id, end=end)
    return Process(script, settings)


@pytest.mark.parametrize("end", ["pass", "sys.exit()"])
def test_a_process_writes_what_it_remembers_when_it_ends(
    settings: Settings, store: Store, token: NewToken, end: str
) -> None:
    _user_of(settings, token, end).end()
    assert _shown(store, token).last_used_ips == ("192.0.2.9",)


def test_a_kill_loses_the_last_minute_and_nothing_else(
    settings: Settings, store: Store, token: NewToken
) -> None:
    process = _user_of(settings, token, "time.sleep(60)")
    assert process.hear() == "used"
    process.kill()
    assert _shown(store, token).last_used_ips == ()
    tokens.revoke(store, COMMAND_LINE, token.record.id)


def test_a_forked_child_writes_its_own_uses_and_leaves_its_parents_alone(
    store: Store, token: NewToken, root: UserRecord, usage: Usage
) -> None:
    other = make_token(store, root)
    _use(usage, token, "192.0.2.1")
    usage.written(KEY, COMMAND_LINE, EVENT)
    usage.is_repeated(KEY)
    _assert_child_ends_well(lambda: (_use(usage, other, "192.0.2.2"), usage.close()))
    assert _shown(store, other).last_used_ips == ("192.0.2.2",)
    assert _shown(store, token).last_used_ips == ()
    assert events_of(store, "sudo.counted") == []
    usage.close()
    assert _shown(store, token).last_used_ips == ("192.0.2.1",)
    assert len(events_of(store, "sudo.counted")) == 1


def test_a_child_forked_during_a_flush_is_not_stuck(
    store: Store, token: NewToken, usage: Usage
) -> None:
    with usage._flushing, usage._mutex:  # noqa: SLF001  # the very moment of a flush
        _assert_child_ends_well(lambda: (_use(usage, token, "192.0.2.2"), usage.flush()))
    assert _shown(store, token).last_used_ips == ("192.0.2.2",)


def _assert_child_ends_well(work: Callable[[], object]) -> None:
    """Fork, let the child do this alone, and wait for it, but not for ever."""
    child = os.fork()
    if child == 0:
        # Whatever happens, the child must not go on with the parent's tests.
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    ended, status = 0, None
    try:
        end = time.monotonic() + 10
        while not ended and time.monotonic() < end:
            ended, status = os.waitpid(child, os.WNOHANG)
            time.sleep(0.01)
    finally:
        if not ended:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    assert (bool(ended), status) == (True, 0)


def test_what_is_repeated_within_a_minute_is_counted_and_told_when_it_is_over(
    store: Store, usage: Usage, clock: ManualClock
) -> None:
    assert not usage.is_repeated(KEY)
    usage.written(KEY, COMMAND_LINE, EVENT)
    assert [usage.is_repeated(KEY) for _ in range(3)] == [True] * 3
    clock.advance(seconds=59)
    usage.flush()
    assert events_of(store) == []
    clock.advance(seconds=1)
    usage.flush()
    (row,) = events_of(store)
    assert (row.action, row.token_id) == ("sudo.counted", 1)
    expected = {"of": "sudo.used", "count": 3, "minute": "2026-03-10T12:00:00.000Z"}
    assert row.data == expected | {"via": "cli"}
    assert not usage.is_repeated(KEY)


def test_each_count_tells_who_asked_and_from_where(
    store: Store, root: UserRecord, usage: Usage
) -> None:
    by_root = origin_of(store, make_token(store, root).secret)
    for number, origin in enumerate((COMMAND_LINE, by_root)):
        key = dataclasses.replace(KEY, token_id=number)
        usage.written(key, origin, dataclasses.replace(EVENT, token_id=number))
        usage.is_repeated(key)
    usage.close()
    first, second = events_of(store, "sudo.counted")
    assert (first.token_id, first.actor, first.ip, first.data["via"]) == (0, None, None, "cli")
    assert (second.token_id, second.actor, second.ip) == (1, "root", "192.0.2.7")
    assert_unbroken(events_of(store))


def test_a_minute_without_repetition_is_not_told(
    store: Store, usage: Usage, clock: ManualClock
) -> None:
    usage.written(KEY, COMMAND_LINE, EVENT)
    clock.advance(seconds=60)
    usage.flush()
    assert events_of(store) == []


def test_other_keys_are_counted_apart(store: Store, usage: Usage) -> None:
    usage.written(KEY, COMMAND_LINE, EVENT)
    for name in ("action", "client_id", "check"):
        assert not usage.is_repeated(dataclasses.replace(KEY, **{name: "other"}))
    for name in ("token_id", "user_id"):
        assert not usage.is_repeated(dataclasses.replace(KEY, **{name: 99}))


def test_a_graceful_end_tells_of_the_minute_that_is_not_over(store: Store, usage: Usage) -> None:
    usage.written(KEY, COMMAND_LINE, EVENT)
    usage.is_repeated(KEY)
    usage.close()
    assert [row.data["count"] for row in events_of(store)] == [1]


def test_counts_survive_that_two_wrote_at_once(store: Store, usage: Usage) -> None:
    usage.written(KEY, COMMAND_LINE, EVENT)
    usage.is_repeated(KEY)
    usage.written(KEY, COMMAND_LINE, EVENT)
    usage.is_repeated(KEY)
    usage.is_repeated(KEY)
    usage.close()
    assert sum(row.data["count"] for row in events_of(store)) == 3
