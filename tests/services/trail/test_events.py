from __future__ import annotations

import dataclasses
import hashlib
import json
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import select

from tests.conftest import START, ManualClock
from tests.databases import connect, opened
from tests.factories import caller_of, make_token, make_user, origin_of
from tests.services.conftest import at_once, contents, events_of, failing
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain.facts import UserFacts
from tokensrv.errors import NotFound, StorageUnavailable
from tokensrv.models import EventHead
from tokensrv.models.event import EVENT_CHANNEL
from tokensrv.services.directory import user_states, users
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import EventRecord, UserRecord
from tokensrv.services.reports.event_lists import EventFilter, list_events
from tokensrv.services.trail import events
from tokensrv.services.trail.events import COMMAND_LINE, NewEvent, Origin

WRITERS = 8
EVENTS_A_WRITER = 12
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


def _append(store: Store, *new: NewEvent, origin: Origin = COMMAND_LINE) -> int:
    with store.write() as session:
        return events.append(session, store.clock, origin, new)


def _append_in_vain(store: Store) -> None:
    with store.write() as session:
        events.append(session, store.clock, COMMAND_LINE, [NewEvent(action="lost")])
        raise NotFound("User")


def _recomputed(row: EventRecord) -> str:
    """Return the hash of a row as an auditor computes it, from the written description alone."""
    exported = [
        row.seq,
        row.at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{row.at.microsecond // 1000:03d}Z",
        row.action,
        row.actor_id,
        row.actor,
        row.subject_id,
        row.subject,
        row.token_id,
        row.client_id,
        row.ip,
        row.request_id,
        row.reason,
        row.data,
        row.prev_hash,
    ]
    text = json.dumps(exported, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def assert_unbroken(rows: list[EventRecord]) -> None:
    previous = "0" * 64
    for expected_seq, row in enumerate(rows, start=1):
        assert row.seq == expected_seq
        assert row.prev_hash == previous
        assert row.hash == _recomputed(row)
        previous = row.hash


def test_the_chain_can_be_recomputed_from_an_export(store: Store, root: UserRecord) -> None:
    make_token(store, make_user(store, "alice", name="Älice ⚙"), description='"quoted"\n\t')
    _append(
        store,
        NewEvent(action="sudo.refused", reason="weil ☃ \x7f", data={"z": 1, "a": [None, True]}),
    )
    rows = events_of(store)
    assert len(rows) == 4
    assert_unbroken(rows)


@examples(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    reason=TEXTS,
    data=st.dictionaries(
        TEXTS, st.none() | st.booleans() | TEXTS | st.integers(-(2**63), 2**63 - 1), max_size=4
    ),
)
def test_whatever_text_an_event_holds_its_hash_can_be_recomputed(
    store: Store, reason: str, data: dict[str, Any]
) -> None:
    seq = _append(store, NewEvent(action="sudo.refused", reason=reason, data=data))
    (row,) = list_events(store, EventFilter(since=seq - 1))
    assert row.data == data | {"via": "cli"}
    assert row.hash == _recomputed(row)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\"'\\/`$%(x)s:y?{}[],", id="what engines and JSON quote"),
        pytest.param("\x01\t\n\r\x1f\x7f\x80\x9f", id="controls"),
        pytest.param("a\u0301\u212b\ufb01\u1e9b\u0323", id="not normalised"),
        pytest.param("\u202e\u2066\u200d\ufeff\u2028\u2029", id="direction and no width"),
        pytest.param("\ud7ff\ue000\uffff\U00010000\U0010ffff", id="ends of ranges"),
        pytest.param("\\u0000\\ud800\\n", id="escapes of nothing"),
        pytest.param("\U0001f469\u200d\U0001f4bb" * 85, id="long"),
    ],
)
def test_the_database_hashes_hostile_text_as_python_does(store: Store, text: str) -> None:
    """PostgreSQL puts the hashed text together itself."""
    hostile = NewEvent(
        action="sudo.refused", reason=text, data={text: [text, {"z": text, "a": 1.5e300}]}
    )
    _append(store, hostile, NewEvent(action="a"), hostile, origin=Origin(request_id=text[:64]))
    rows = events_of(store)
    assert_unbroken(rows)
    assert [row.reason for row in rows] == [text, None, text]
    assert rows[0].data == rows[2].data == hostile.data


def test_the_head_is_the_last_row_however_many_are_appended(store: Store) -> None:
    assert _append(store, *[NewEvent(action="a")] * 3) == 3
    assert _append(store) == 3
    assert _append(store, NewEvent(action="b")) == 4
    with store.read() as session:
        head = session.scalars(select(EventHead)).one()
    (last,) = list_events(store, EventFilter(limit=1))
    assert (head.seq, head.hash) == (last.seq, last.hash)
    assert last.seq == 4


@pytest.mark.postgres
def test_whoever_listens_hears_of_what_ends_something_once_it_is_committed(
    store: Store, settings: Settings
) -> None:
    with closing(connect(settings.database_url)) as listening:
        listening.execute(f"LISTEN {EVENT_CHANNEL}")
        with pytest.raises(NotFound):
            _append_in_vain(store)
        _append(store, NewEvent(action="token.created"))
        _append(store, NewEvent(action="token.revoked"), NewEvent(action="sudo.used"))
        _append(store, NewEvent(action="of a newer version"))
        # Its own notification comes after all that were committed before.
        listening.execute("SELECT pg_notify(%s, 'end')", [EVENT_CHANNEL])
        heard = list(listening.notifies(timeout=10, stop_after=3))
    assert [notification.payload for notification in heard] == ["3", "4", "end"]


def test_concurrent_writers_leave_one_chain_without_gaps(store: Store) -> None:
    def write_some(writer: int) -> list[int]:
        new = NewEvent(action="user.changed", data={"writer": writer})
        return [_append(store, new) for _ in range(EVENTS_A_WRITER)]

    written = at_once([lambda n=n: write_some(n) for n in range(WRITERS)])
    rows = events_of(store)
    assert_unbroken(rows)
    assert sorted(seq for seqs in written for seq in seqs) == [row.seq for row in rows]
    assert len(rows) == WRITERS * EVENTS_A_WRITER


def test_two_nodes_continue_one_chain(settings: Settings, clock: ManualClock, store: Store) -> None:
    with opened(settings, clock) as other:
        nodes = [store, other] * 3
        written = at_once(
            [lambda n=n: [_append(n, NewEvent(action="a")) for _ in range(10)] for n in nodes]
        )
        assert not [error for error in written if isinstance(error, Exception)]
    assert_unbroken(events_of(store))
    assert len(events_of(store)) == 60


def test_the_order_of_events_is_the_order_of_commits(store: Store) -> None:
    """Whoever saw an event saw all events before it: none appears behind a reader's back."""
    is_over = False

    def read_on() -> list[list[int]]:
        seen = []
        while not is_over:
            seen.append([row.seq for row in events_of(store)])
        return seen

    def write_on() -> None:
        nonlocal is_over
        at_once(
            [lambda: [_append(store, NewEvent(action="a")) for _ in range(10)]] * 4,
        )
        is_over = True

    seen, _ = at_once([read_on, write_on])
    assert seen
    assert all(seqs == list(range(1, len(seqs) + 1)) for seqs in seen)


def test_a_transaction_that_is_rolled_back_leaves_no_gap(store: Store) -> None:
    _append(store, NewEvent(action="a"))
    with pytest.raises(NotFound):
        _append_in_vain(store)
    _append(store, NewEvent(action="b"))
    rows = events_of(store)
    assert [row.action for row in rows] == ["a", "b"]
    assert_unbroken(rows)


def test_several_events_of_one_verb_stand_in_their_order_with_one_moment(
    store: Store, root: UserRecord
) -> None:
    changes = users.UserChanges(name="Alice B.", is_admin=True, password="correct horse")
    users.change(store, COMMAND_LINE, make_user(store).id, changes)
    rows = events_of(store)[2:]
    assert [row.action for row in rows] == ["user.promoted", "user.changed", "user.password_set"]
    assert {row.at for row in rows} == {START}


def test_an_event_tells_who_acted_as_whom_and_from_where(store: Store, root: UserRecord) -> None:
    alice = make_user(store)
    secret = make_token(store, root, ("api", "sudo")).secret
    victim = make_token(store, alice)
    origin = origin_of(store, secret, sudo="ALICE", reason="ticket 12")
    tokens.revoke(store, origin, victim.record.id)
    row = events_of(store)[-1]
    assert (row.action, row.token_id) == ("token.revoked", victim.record.id)
    assert (row.actor_id, row.actor) == (root.id, "root")
    assert (row.subject_id, row.subject) == (alice.id, "alice")
    assert (row.ip, row.request_id, row.reason) == ("192.0.2.7", "request-1", "ticket 12")


def test_without_sudo_actor_and_subject_are_the_same_user(store: Store, root: UserRecord) -> None:
    alice = make_user(store)
    token = make_token(store, alice)
    tokens.revoke(store, origin_of(store, token.secret), token.record.id)
    row = events_of(store)[-1]
    assert (row.actor_id, row.subject_id) == (alice.id, alice.id)
    assert (row.actor, row.subject) == ("alice", "alice")


def test_the_command_line_is_nobody_and_says_so(store: Store, root: UserRecord) -> None:
    (row,) = events_of(store)
    assert (row.actor_id, row.actor, row.subject_id, row.subject) == (None, None, None, None)
    assert row.data["via"] == "cli"


def test_an_event_keeps_the_username_of_its_time(store: Store, root: UserRecord) -> None:
    alice = make_user(store)
    token = make_token(store, alice)
    tokens.revoke(store, origin_of(store, token.secret), token.record.id)
    users.change(store, COMMAND_LINE, alice.id, users.UserChanges(username="carol"))
    users.delete(store, COMMAND_LINE, alice.id)
    (row,) = events_of(store, "token.revoked")
    assert (row.subject_id, row.subject) == (alice.id, "alice")


def test_events_are_found_by_the_name_of_today_and_by_id(store: Store, root: UserRecord) -> None:
    alice = make_user(store)
    token = make_token(store, alice)
    tokens.revoke(store, origin_of(store, token.secret), token.record.id)
    users.change(store, COMMAND_LINE, alice.id, users.UserChanges(username="carol"))
    for name in ("carol", "CAROL", str(alice.id)):
        (row,) = list_events(store, EventFilter(subject=name))
        assert row.action == "token.revoked"


def test_events_of_a_deleted_user_are_found_but_never_under_his_successor(
    store: Store, root: UserRecord
) -> None:
    alice = make_user(store)
    token = make_token(store, alice)
    tokens.revoke(store, origin_of(store, token.secret), token.record.id)
    users.delete(store, COMMAND_LINE, alice.id)
    assert len(list_events(store, EventFilter(actor="alice"))) == 1
    make_user(store, "alice")
    assert list_events(store, EventFilter(actor="alice")) == []
    assert len(list_events(store, EventFilter(actor=str(alice.id)))) == 1


def test_the_last_events_are_listed_oldest_first(store: Store) -> None:
    for number in range(5):
        _append(store, NewEvent(action="a", data={"number": number}))
    assert [row.seq for row in list_events(store, EventFilter(limit=2))] == [4, 5]
    after = list_events(store, EventFilter(since=1, limit=2))
    assert [row.seq for row in after] == [2, 3]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(make_token, id="create a token"),
        pytest.param(lambda s, user: make_user(s, "carol"), id="create a user"),
        pytest.param(lambda s, user: user_states.block(s, COMMAND_LINE, user.id), id="block"),
        pytest.param(lambda s, user: users.delete(s, COMMAND_LINE, user.id), id="delete"),
        pytest.param(lambda s, user: user_states.promote(s, COMMAND_LINE, user.id), id="promote"),
    ],
)
def test_nothing_is_changed_when_its_event_cannot_be_written(
    store: Store, root: UserRecord, change: Any
) -> None:
    """The disk is full in the moment of the event: the change goes with it."""
    alice = make_user(store)
    before = contents(store)
    with failing(store, "INSERT INTO event "), pytest.raises(StorageUnavailable):
        change(store, alice)
    assert contents(store) == before
    change(store, alice)
    assert_unbroken(events_of(store))


def test_a_token_whose_revocation_cannot_be_recorded_is_not_revoked(
    store: Store, root: UserRecord
) -> None:
    token = make_token(store, root)
    with failing(store, "INSERT INTO event "), pytest.raises(StorageUnavailable):
        tokens.revoke(store, COMMAND_LINE, token.record.id)
    assert tokens.get(store, None, token.record.id).is_active
    assert caller_of(store, token.secret).subject.id == root.id


def test_values_given_to_an_event_win_over_those_of_the_origin(store: Store) -> None:
    carol = UserFacts(99, "carol", "active", is_admin=False)
    new = NewEvent(action="token.reused", actor=carol, subject=carol, client_id="other")
    _append(store, new, origin=Origin(client_id="asking", via="cli"))
    (row,) = events_of(store)
    assert (row.actor, row.subject, row.client_id) == ("carol", "carol", "other")


def test_an_origin_without_a_caller_counts_as_an_admin_and_a_user_does_not(
    store: Store, root: UserRecord
) -> None:
    alice = origin_of(store, make_token(store, make_user(store)).secret)
    admin = origin_of(store, make_token(store, root).secret)
    assert COMMAND_LINE.is_admin
    assert admin.is_admin
    assert not alice.is_admin
    assert dataclasses.replace(alice, caller=None).subject is None
