from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import date, timedelta

import pytest

from tests.conftest import START, ManualClock, QueryRecorder
from tests.databases import opened
from tests.factories import make_admin, make_client, make_token, make_user, origin_of
from tests.services.conftest import at_once, contents, events_of, failing
from tokensrv.clock import midnight, utcnow
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain.caller import Check, Refused
from tokensrv.domain.facts import TokenKind
from tokensrv.errors import (
    AlreadyRevoked,
    Forbidden,
    Invalid,
    LifetimeExceeded,
    NotFound,
    ScopesNotHeld,
    StorageUnavailable,
)
from tokensrv.services.directory import user_states, users
from tokensrv.services.lifecycle import rotation, tokens
from tokensrv.services.lifecycle.token_lists import TokenFilter, list_tokens
from tokensrv.services.records import NewToken, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

TODAY = START.date()
TOMORROW = TODAY + timedelta(days=1)
WEEK = TODAY + timedelta(days=7)
LAST = TODAY + timedelta(days=365)
ROUNDS = 12


def _rotate(store: Store, token: NewToken, day: date | None = None) -> NewToken:
    """Rotate a token with itself."""
    return rotation.rotate(store, origin_of(store, token.secret), token.record.id, expires_on=day)


def _alive(store: Store) -> list[int]:
    return [token.id for token in list_tokens(store, None, TokenFilter(is_active=True)).items]


def test_the_successor_is_like_the_old_token_but_for_secret_and_expiry(
    store: Store, root: UserRecord
) -> None:
    client = make_client(store).record.client_id
    old = make_token(
        store,
        root,
        ("api", "sudo"),
        description="why",
        audience=(client,),
        allowed_ips=("192.0.2.7", "10.0.0.0/8"),
        expires_on=TOMORROW,
    )
    new = _rotate(store, old)
    assert new.secret != old.secret
    same = ("kind", "user_id", "name", "description", "scopes", "audience", "allowed_ips")
    for name in same:
        assert getattr(new.record, name) == getattr(old.record, name)
    assert new.record.previous_id == old.record.id
    assert (new.record.last_used_at, new.record.last_used_ips) == (None, ())
    assert tokens.get(store, None, old.record.id).revoked_at == START
    assert _alive(store) == [new.record.id]


def test_a_rotation_is_one_event_of_the_old_token(store: Store, root: UserRecord) -> None:
    old = make_token(store, root)
    new = _rotate(store, old)
    row = events_of(store)[-1]
    assert (row.action, row.token_id, row.actor) == ("token.rotated", old.record.id, "root")
    assert row.data == {"user_id": root.id, "new_token_id": new.record.id}


def test_an_impersonation_token_keeps_its_kind(store: Store, root: UserRecord) -> None:
    old = make_token(store, root, kind=TokenKind.IMPERSONATION)
    new = rotation.rotate(store, COMMAND_LINE, old.record.id)
    assert new.record.kind == "impersonation"
    assert new.secret.startswith("tsi_")


@pytest.mark.parametrize(
    ("old", "wanted", "new"),
    [
        pytest.param(None, None, None, id="without end"),
        pytest.param(TOMORROW, None, WEEK, id="an expiring one never becomes endless"),
        pytest.param(LAST, None, WEEK, id="a late one comes nearer"),
        pytest.param(None, LAST, LAST, id="the last day"),
        pytest.param(TOMORROW, TOMORROW, TOMORROW, id="the same day"),
    ],
)
def test_the_expiry_after_a_rotation(
    store: Store, root: UserRecord, old: date | None, wanted: date | None, new: date | None
) -> None:
    assert _rotate(store, make_token(store, root, expires_on=old), wanted).record.expires_on == new


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        pytest.param(TODAY, Invalid, id="today"),
        pytest.param(LAST + timedelta(days=1), LifetimeExceeded, id="beyond the maximum"),
    ],
)
def test_a_refused_expiry_leaves_the_old_token_alive(
    store: Store, root: UserRecord, wanted: date, error: type[Exception]
) -> None:
    old = make_token(store, root)
    with pytest.raises(error):
        _rotate(store, old, wanted)
    assert _alive(store) == [old.record.id]


def test_the_week_after_a_rotation_is_cut_by_the_maximum(
    settings: Settings, clock: ManualClock
) -> None:
    with opened(dataclasses.replace(settings, max_lifetime_days=3), clock) as store:
        old = make_token(store, make_admin(store), expires_on=TOMORROW)
        assert _rotate(store, old).record.expires_on == TODAY + timedelta(days=3)


def test_rotation_gives_an_endless_token_an_end_where_one_is_required(
    settings: Settings, clock: ManualClock, store: Store, root: UserRecord
) -> None:
    old = make_token(store, root)
    with opened(dataclasses.replace(settings, require_expiry=True), clock) as strict:
        assert _rotate(strict, old).record.expires_on == WEEK


@pytest.mark.parametrize("seconds_left", [0.001, 1, 60])
def test_a_rotation_just_before_the_end_never_yields_an_endless_token(
    store: Store, root: UserRecord, clock: ManualClock, seconds_left: float
) -> None:
    old = make_token(store, root, expires_on=TOMORROW)
    clock.set(midnight(TOMORROW) - timedelta(seconds=seconds_left))
    new = _rotate(store, old)
    assert new.record.expires_on == WEEK


def test_at_its_end_a_token_cannot_rotate_itself(
    store: Store, root: UserRecord, clock: ManualClock
) -> None:
    old = make_token(store, root, expires_on=TOMORROW)
    origin = origin_of(store, old.secret)
    clock.set(midnight(TOMORROW))
    with pytest.raises(Refused) as refused:
        rotation.rotate(store, origin, old.record.id)
    assert refused.value.refusal.check is Check.EXPIRED


def test_an_expired_token_can_be_rotated_by_another(
    store: Store, root: UserRecord, clock: ManualClock
) -> None:
    old = make_token(store, root, expires_on=TOMORROW)
    by = make_token(store, root)
    clock.set(midnight(WEEK))
    new = rotation.rotate(store, origin_of(store, by.secret), old.record.id)
    assert new.record.expires_on == WEEK + timedelta(days=7)


def test_a_revoked_token_cannot_be_rotated_by_another(store: Store, root: UserRecord) -> None:
    old, by = make_token(store, root), make_token(store, root)
    new = _rotate(store, old)
    before = contents(store)
    with pytest.raises(AlreadyRevoked):
        rotation.rotate(store, origin_of(store, by.secret), old.record.id)
    assert contents(store) == before
    assert new.record.id in _alive(store)


def test_a_user_rotates_another_token_of_his_only_within_what_his_own_has(
    store: Store, root: UserRecord
) -> None:
    alice = make_user(store)
    soon = TODAY + timedelta(days=2)
    by = origin_of(store, make_token(store, alice, ("read_api",), expires_on=soon).secret)
    wide = make_token(store, alice, ("api",))
    with pytest.raises(ScopesNotHeld):
        rotation.rotate(store, by, wide.record.id)
    endless = make_token(store, alice, ("read_user",))
    with pytest.raises(LifetimeExceeded) as refused:
        rotation.rotate(store, by, endless.record.id, expires_on=WEEK)
    assert refused.value.last_day == soon
    assert rotation.rotate(store, by, endless.record.id).record.expires_on == soon


def test_a_token_that_is_good_from_more_places_is_not_had_by_rotating_it(
    store: Store, root: UserRecord
) -> None:
    here, elsewhere = ("192.0.2.0/24",), ("192.0.2.7", "198.51.100.1")
    origin = origin_of(store, make_token(store, root, allowed_ips=here).secret)
    for wider in ((), elsewhere):
        old = make_token(store, root, allowed_ips=wider)
        with pytest.raises(Forbidden, match="good from fewer places"):
            rotation.rotate(store, origin, old.record.id)
        assert rotation.rotate(store, COMMAND_LINE, old.record.id).record.allowed_ips == wider
    old = make_token(store, root, allowed_ips=("192.0.2.7",))
    assert rotation.rotate(store, origin, old.record.id).record.allowed_ips == ("192.0.2.7",)
    foreign = make_token(store, make_user(store))
    assert rotation.rotate(store, origin, foreign.record.id).record.allowed_ips == ()


def test_an_admin_needs_the_admins_scopes_to_rotate_a_token_that_has_them(
    store: Store, root: UserRecord
) -> None:
    """The answer holds a secret: without this an api token would turn into a sudo token."""
    powerful = make_token(store, make_admin(store, "other"), ("api", "sudo"))
    by = origin_of(store, make_token(store, root, ("api",)).secret)
    with pytest.raises(ScopesNotHeld):
        rotation.rotate(store, by, powerful.record.id)
    holding = origin_of(store, make_token(store, root, ("api", "sudo")).secret)
    assert rotation.rotate(store, holding, powerful.record.id).record.scopes == ("api", "sudo")


def test_a_foreign_an_unknown_and_a_hidden_token_are_the_same_to_a_user(
    store: Store, root: UserRecord
) -> None:
    alice = make_user(store)
    by = origin_of(store, make_token(store, alice).secret)
    hidden = make_token(store, alice, kind=TokenKind.IMPERSONATION).record.id
    foreign = make_token(store, root).record.id
    for token_id in (hidden, foreign, foreign + 1, 2**63 - 1):
        with pytest.raises(NotFound) as refused:
            rotation.rotate(store, by, token_id)
        assert refused.value.kind == "Token"


def test_of_many_rotations_at_once_one_wins(store: Store, root: UserRecord) -> None:
    for _ in range(ROUNDS):
        old = make_token(store, make_user(store, f"user{len(contents(store)['user'])}"))
        results = at_once([lambda old=old: _rotate_by_command_line(store, old)] * 4)
        won = [result for result in results if isinstance(result, NewToken)]
        lost = [result for result in results if isinstance(result, AlreadyRevoked)]
        assert (len(won), len(lost)) == (1, 3)
        heads = [token for token in _family(store, old) if not token.is_revoked]
        assert [token.id for token in heads] == [won[0].record.id]
    assert Counter(row.action for row in events_of(store))["token.rotated"] == ROUNDS


def reuse_of(store: Store, token_id: int) -> int:
    """Return what becomes of a revoked token that is used to rotate a moment later."""
    later = utcnow(store.clock) + timedelta(seconds=1)
    return rotation.revoke_descendants(store, COMMAND_LINE, token_id, began_at=later)


def _rotate_by_command_line(store: Store, old: NewToken) -> NewToken:
    return rotation.rotate(store, COMMAND_LINE, old.record.id)


def _family(store: Store, old: NewToken) -> list[tokens.TokenRecord]:
    of_user = TokenFilter(user_id=old.record.user_id)
    return list(list_tokens(store, None, of_user).items)


def test_whoever_goes_on_using_a_dead_token_waits_for_nobody(
    store: Store, root: UserRecord, query_recorder: QueryRecorder
) -> None:
    first = make_token(store, root)
    _rotate(store, first)
    assert reuse_of(store, first.record.id) == 1
    query_recorder.clear()
    assert reuse_of(store, first.record.id) == 0
    assert len(query_recorder.statements) == 1
    assert not any("cache_lease" in one or "FOR UPDATE" in one for one in query_recorder.statements)


def test_reuse_revokes_every_active_descendant_and_nobody_else(
    store: Store, root: UserRecord, clock: ManualClock
) -> None:
    bystander = make_token(store, root)
    first = make_token(store, root)
    second = _rotate(store, first)
    third = _rotate(store, second)
    clock.advance(seconds=5)
    assert reuse_of(store, first.record.id) == 1
    assert _alive(store) == [bystander.record.id]
    row = events_of(store)[-1]
    assert (row.action, row.token_id) == ("token.reused", first.record.id)
    assert (row.actor, row.subject) == ("root", "root")
    assert row.data["revoked"] == [third.record.id]
    assert tokens.get(store, None, second.record.id).revoked_at == START


def test_reuse_finds_descendants_beyond_a_revoked_one(store: Store, root: UserRecord) -> None:
    family = [make_token(store, root)]
    for _ in range(4):
        family.append(_rotate(store, family[-1]))
    assert reuse_of(store, family[1].record.id) == 1
    assert _alive(store) == []


def test_reuse_of_a_token_without_active_descendants_changes_nothing(
    store: Store, root: UserRecord, clock: ManualClock
) -> None:
    token = make_token(store, root)
    tokens.revoke(store, COMMAND_LINE, token.record.id)
    expiring = make_token(store, root)
    _rotate(store, expiring, TOMORROW)
    clock.set(midnight(WEEK))
    before = contents(store)
    for token_id in (token.record.id, expiring.record.id, 2**62):
        assert reuse_of(store, token_id) == 0
    assert contents(store) == before


def test_a_long_family_is_found_with_a_handful_of_statements(
    store: Store, root: UserRecord, query_recorder: QueryRecorder
) -> None:
    first = last = make_token(store, root)
    for _ in range(60):
        last = rotation.rotate(store, COMMAND_LINE, last.record.id)
    query_recorder.clear()
    assert reuse_of(store, first.record.id) == 1
    assert len(query_recorder.statements) < 12


def test_a_request_that_began_before_the_rotation_is_no_reuse(
    store: Store, clock: ManualClock, root: UserRecord
) -> None:
    """Two of a client's own requests rotate at once: the second must not kill the successor."""
    old = make_token(store, root)
    began_at = utcnow(clock)
    new = rotation.rotate(store, COMMAND_LINE, old.record.id)
    found = rotation.revoke_descendants(store, COMMAND_LINE, old.record.id, began_at=began_at)
    assert found == 0
    assert tokens.get(store, None, new.record.id).is_active


def test_no_rotation_escapes_a_detected_reuse(store: Store, root: UserRecord) -> None:
    """The thief rotates on while the reuse is being answered: the family dies all the same."""
    for number in range(ROUNDS):
        stolen = make_token(store, make_user(store, f"alice{number}"))
        head = rotation.rotate(store, COMMAND_LINE, stolen.record.id)
        reuse, rotated = at_once(
            [
                lambda stolen=stolen: reuse_of(store, stolen.record.id),
                lambda head=head: _rotate_by_command_line(store, head),
            ]
        )
        assert reuse == 1
        assert isinstance(rotated, NewToken | AlreadyRevoked)
        assert [token for token in _family(store, stolen) if not token.is_revoked] == []


def test_a_rotation_and_a_revocation_at_once_leave_no_third_outcome(
    store: Store, root: UserRecord
) -> None:
    for number in range(ROUNDS):
        old = make_token(store, make_user(store, f"alice{number}"))
        rotated, _ = at_once(
            [
                lambda old=old: _rotate_by_command_line(store, old),
                lambda old=old: tokens.revoke(store, COMMAND_LINE, old.record.id),
            ]
        )
        alive = [token.id for token in _family(store, old) if not token.is_revoked]
        # Revoke leaves descendants alone, so that a rotation that came first stands.
        assert alive == ([rotated.record.id] if isinstance(rotated, NewToken) else [])


def test_a_rotation_and_the_deletion_of_its_owner_at_once_leave_nothing(
    store: Store, root: UserRecord
) -> None:
    for number in range(ROUNDS):
        alice = make_user(store, f"alice{number}")
        old = make_token(store, alice)
        rotated, deleted = at_once(
            [
                lambda old=old: _rotate_by_command_line(store, old),
                lambda alice=alice: users.delete(store, COMMAND_LINE, alice.id),
            ]
        )
        assert deleted is None
        assert isinstance(rotated, NewToken | NotFound)
        assert _family(store, old) == []


def test_a_rotation_whose_event_cannot_be_written_leaves_the_old_token(
    store: Store, root: UserRecord
) -> None:
    old = make_token(store, root)
    with failing(store, "INSERT INTO event "), pytest.raises(StorageUnavailable):
        _rotate(store, old)
    assert _alive(store) == [old.record.id]
    assert len(contents(store)["token"]) == 1


def test_the_owner_being_blocked_stops_his_rotation(store: Store, root: UserRecord) -> None:
    alice = make_user(store)
    token = make_token(store, alice)
    origin = origin_of(store, token.secret)
    user_states.block(store, COMMAND_LINE, alice.id)
    with pytest.raises(Refused) as refused:
        rotation.rotate(store, origin, token.record.id)
    assert refused.value.refusal.check is Check.OWNER
