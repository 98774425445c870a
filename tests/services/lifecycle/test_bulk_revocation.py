from __future__ import annotations

from collections.abc import Collection

import pytest

from tests.conftest import START, ManualClock
from tests.factories import caller_of, make_admin, make_exchanged, make_token, make_user, origin_of
from tests.services.conftest import at_once, contents, events_of, failing
from tokensrv.db import Store
from tokensrv.domain.caller import Refused
from tokensrv.domain.facts import TokenKind
from tokensrv.errors import Forbidden, Invalid, StorageUnavailable
from tokensrv.services.directory import users
from tokensrv.services.lifecycle import tokens
from tokensrv.services.lifecycle.bulk_revocation import MAX_TOKENS, Ended, revoke_many
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE, Origin


def _revoke(store: Store, *token_ids: int, origin: Origin = COMMAND_LINE) -> Ended:
    return revoke_many(store, origin, token_ids, "they leaked")


def _made(store: Store, user: UserRecord, count: int) -> list[int]:
    return [make_token(store, user, name=f"token {number}").record.id for number in range(count)]


@pytest.fixture
def alice(store: Store, root: UserRecord) -> UserRecord:
    return make_user(store)


def test_each_is_revoked_with_an_event_of_its_own_and_the_reason(
    store: Store, root: UserRecord, alice: UserRecord
) -> None:
    ids = [*_made(store, alice, 2), *_made(store, root, 1)]
    assert _revoke(store, *ids) == Ended(revoked=3, dead=0)
    assert [tokens.get(store, None, token_id).revoked_at for token_id in ids] == [START] * 3
    found = events_of(store, "token.revoked")
    assert [(row.token_id, row.reason) for row in found] == [(one, "they leaked") for one in ids]
    assert [row.data["user_id"] for row in found] == [alice.id, alice.id, root.id]
    assert [row.seq for row in found] == list(range(found[0].seq, found[0].seq + 3))


def test_the_dead_are_counted_and_left_alone_and_the_unknown_are_nothing(
    store: Store, alice: UserRecord, clock: ManualClock
) -> None:
    revoked, alive, kept = _made(store, alice, 3)
    tokens.revoke(store, COMMAND_LINE, revoked)
    expired = make_token(store, alice, expires_on=START.date().replace(day=11)).record.id
    clock.advance(seconds=86_400)
    assert _revoke(store, alive, revoked, expired, 987_654, alive) == Ended(revoked=1, dead=2)
    assert tokens.get(store, None, revoked).revoked_at == START
    assert not tokens.get(store, None, expired).is_revoked
    assert tokens.get(store, None, kept).is_active
    assert [row.token_id for row in events_of(store, "token.revoked")] == [revoked, alive]
    assert _revoke(store, alive, revoked) == Ended(revoked=0, dead=2)
    assert len(events_of(store, "token.revoked")) == 2


def test_what_was_exchanged_for_one_dies_with_it(
    store: Store, root: UserRecord, alice: UserRecord
) -> None:
    source = make_token(store, root, ("sudo",))
    exchanged = make_exchanged(store, source, alice)
    assert caller_of(store, exchanged.secret).subject.id == alice.id
    _revoke(store, source.record.id)
    with pytest.raises(AssertionError, match="Refusal"):
        caller_of(store, exchanged.secret)


@pytest.mark.parametrize(
    ("ids", "reason", "field"),
    [
        pytest.param((1,), " ", "reason", id="no reason"),
        pytest.param((1,), "x" * 256, "reason", id="a long reason"),
        pytest.param(range(1, MAX_TOKENS + 2), "why", "tokens", id="too many"),
    ],
)
def test_what_is_refused_changes_nothing(
    store: Store, alice: UserRecord, ids: Collection[int], reason: str, field: str
) -> None:
    _made(store, alice, 1)
    before = contents(store)
    with pytest.raises(Invalid) as refused:
        revoke_many(store, COMMAND_LINE, ids, reason)
    assert refused.value.field == field
    assert contents(store) == before


def test_none_is_revoked_when_the_last_event_cannot_be_written(
    store: Store, alice: UserRecord
) -> None:
    ids = _made(store, alice, 2)
    before = contents(store)
    with failing(store, "INSERT INTO event"), pytest.raises(StorageUnavailable):
        _revoke(store, *ids)
    assert contents(store) == before


def test_it_is_for_admins(store: Store, alice: UserRecord) -> None:
    mine = make_token(store, alice)
    with pytest.raises(Forbidden):
        _revoke(store, mine.record.id, origin=origin_of(store, mine.secret))
    assert tokens.get(store, None, mine.record.id).is_active


def test_an_admin_who_is_none_any_more_is_refused(store: Store, root: UserRecord) -> None:
    other = make_admin(store, "other")
    origin = origin_of(store, make_token(store, other).secret)
    (wanted,) = _made(store, root, 1)
    users.change(store, COMMAND_LINE, other.id, users.UserChanges(is_admin=False))
    with pytest.raises((Forbidden, Refused)):
        _revoke(store, wanted, origin=origin)
    assert tokens.get(store, None, wanted).is_active


def test_an_impersonation_token_cannot_be_among_those_that_it_revokes(
    store: Store, root: UserRecord
) -> None:
    presented = make_token(store, root, kind=TokenKind.IMPERSONATION)
    (other,) = _made(store, root, 1)
    with pytest.raises(Forbidden):
        _revoke(store, other, presented.record.id, origin=origin_of(store, presented.secret))
    assert tokens.get(store, None, other).is_active


def test_those_that_want_the_same_tokens_at_once_wait_for_each_other(
    store: Store, root: UserRecord, alice: UserRecord
) -> None:
    ids = [*_made(store, alice, 4), *_made(store, root, 4)]
    results = at_once(
        [lambda: _revoke(store, *ids), lambda: _revoke(store, *reversed(ids))] * 2
        + [lambda: tokens.revoke(store, COMMAND_LINE, ids[3])]
    )
    assert all(result is None or isinstance(result, Ended) for result in results), results
    assert len(events_of(store, "token.revoked")) == len(ids)
    assert {tokens.get(store, None, token_id).is_revoked for token_id in ids} == {True}
