from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import START, ManualClock
from tests.factories import caller_of, make_admin, make_token, make_user, origin_of
from tests.services.conftest import at_once, contents, events_of
from tokensrv import lookup
from tokensrv.db import Store
from tokensrv.domain.caller import Check, Refusal, SudoPolicy, decide
from tokensrv.domain.facts import UserState
from tokensrv.domain.secret import digest
from tokensrv.errors import Forbidden
from tokensrv.services.directory import user_states, users
from tokensrv.services.directory.user_lists import UserFilter, list_users
from tokensrv.services.directory.users import UserChanges
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE, Origin

ACTIVE, BLOCKED = UserState.ACTIVE, UserState.BLOCKED
DEACTIVATED, BANNED = UserState.DEACTIVATED, UserState.BANNED
VERBS = {
    "block": user_states.block,
    "unblock": user_states.unblock,
    "activate": user_states.activate,
    "deactivate": user_states.deactivate,
    "ban": user_states.ban,
    "unban": user_states.unban,
}
WAY_TO = {
    ACTIVE: (),
    BLOCKED: (user_states.block,),
    DEACTIVATED: (user_states.deactivate,),
    BANNED: (user_states.ban,),
}
# What each verb does in each state: the new state, no change, or a refusal.
SAME, NO = "no change", "refused"
MACHINE = {
    "block": {ACTIVE: BLOCKED, BLOCKED: SAME, DEACTIVATED: BLOCKED, BANNED: NO},
    "unblock": {ACTIVE: SAME, BLOCKED: ACTIVE, DEACTIVATED: NO, BANNED: SAME},
    "activate": {ACTIVE: SAME, BLOCKED: NO, DEACTIVATED: ACTIVE, BANNED: NO},
    "deactivate": {ACTIVE: DEACTIVATED, BLOCKED: NO, DEACTIVATED: SAME, BANNED: NO},
    "ban": {ACTIVE: BANNED, BLOCKED: NO, DEACTIVATED: NO, BANNED: NO},
    "unban": {ACTIVE: NO, BLOCKED: NO, DEACTIVATED: NO, BANNED: ACTIVE},
}
ACTIONS = {
    "block": "user.blocked",
    "unblock": "user.unblocked",
    "activate": "user.activated",
    "deactivate": "user.deactivated",
    "ban": "user.banned",
    "unban": "user.unbanned",
}
ROUNDS = 20


@pytest.mark.parametrize("state", list(UserState))
@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_in_every_state(
    store: Store, root: UserRecord, clock: ManualClock, verb: str, state: UserState
) -> None:
    alice = make_user(store)
    for step in WAY_TO[state]:
        step(store, COMMAND_LINE, alice.id)
    clock.advance(seconds=1)
    before, expected = contents(store), MACHINE[verb][state]
    if expected is NO:
        with pytest.raises(Forbidden) as refused:
            VERBS[verb](store, COMMAND_LINE, alice.id)
        assert refused.value.reason
    else:
        assert VERBS[verb](store, COMMAND_LINE, alice.id) is (expected is not SAME)
    if expected in {NO, SAME}:
        assert contents(store) == before
        return
    changed = users.get(store, alice.id)
    assert (changed.state, changed.updated_at > START) == (expected, True)
    row = events_of(store)[-1]
    assert (row.action, row.data["user_id"]) == (ACTIONS[verb], alice.id)


@pytest.mark.parametrize("state", [BLOCKED, DEACTIVATED, BANNED])
@pytest.mark.parametrize("is_admin", [True, False], ids=["admin", "user"])
def test_who_is_not_active_can_do_nothing_from_that_moment(
    store: Store, root: UserRecord, state: UserState, is_admin: bool
) -> None:
    alice = make_user(store, is_admin=is_admin)
    secret = make_token(store, alice).secret
    for step in WAY_TO[state]:
        step(store, COMMAND_LINE, alice.id)
    facts = lookup.build(store).find(digest=digest(secret))
    decision = decide(facts.token, facts.owner, None, None, now_ms=0, policy=SudoPolicy())
    assert isinstance(decision, Refusal)
    assert decision.check is Check.OWNER


def test_a_change_or_a_password_revives_nobody(store: Store, root: UserRecord) -> None:
    alice = make_user(store)
    user_states.block(store, COMMAND_LINE, alice.id)
    users.set_password(store, COMMAND_LINE, alice.id, "correct horse", is_expired=False)
    users.change(store, COMMAND_LINE, alice.id, UserChanges(name="Alice B.", is_admin=True))
    assert users.get(store, alice.id).state == BLOCKED


def test_a_demoted_admins_sudo_is_gone_at_once_and_comes_back_with_promotion(
    store: Store, root: UserRecord
) -> None:
    make_user(store)
    other = make_admin(store, "other")
    secret = make_token(store, other, ("sudo",)).secret
    caller_of(store, secret, sudo="alice")
    assert user_states.demote(store, COMMAND_LINE, other.id)
    with pytest.raises(AssertionError, match="ADMIN"):
        caller_of(store, secret, sudo="alice")
    assert user_states.promote(store, COMMAND_LINE, other.id)
    caller_of(store, secret, sudo="alice")
    assert [row.action for row in events_of(store)][-2:] == ["user.demoted", "user.promoted"]


def test_promoting_an_admin_and_demoting_a_user_change_nothing(
    store: Store, root: UserRecord
) -> None:
    alice = make_user(store)
    before = contents(store)
    assert not user_states.promote(store, COMMAND_LINE, root.id)
    assert not user_states.demote(store, COMMAND_LINE, alice.id)
    assert contents(store) == before


def test_a_user_switches_nobody(store: Store, root: UserRecord) -> None:
    alice = make_user(store)
    origin = origin_of(store, make_token(store, alice).secret)
    before = contents(store)
    for verb in (*VERBS.values(), user_states.promote, user_states.demote):
        for user in (alice, root):
            with pytest.raises(Forbidden):
                verb(store, origin, user.id)
    assert contents(store) == before


Takes = Callable[[Store, Origin, int], object]


def _demote_by_change(store: Store, origin: Origin, user_id: int) -> None:
    users.change(store, origin, user_id, UserChanges(is_admin=False))


TAKES_AWAY: list[Takes] = [
    user_states.block,
    user_states.deactivate,
    user_states.ban,
    user_states.demote,
    _demote_by_change,
    users.delete,
]
EVERY_WAY = pytest.mark.parametrize("take", TAKES_AWAY)


@EVERY_WAY
def test_nobody_takes_himself_away(store: Store, root: UserRecord, take: Takes) -> None:
    make_admin(store, "other")
    origin = origin_of(store, make_token(store, root).secret)
    before = contents(store)
    with pytest.raises(Forbidden, match="own account"):
        take(store, origin, root.id)
    assert contents(store) == before


@EVERY_WAY
def test_the_last_active_admin_stays(store: Store, root: UserRecord, take: Takes) -> None:
    """An admin who is blocked, and users, do not count."""
    make_user(store)
    blocked = make_admin(store, "blocked")
    user_states.block(store, COMMAND_LINE, blocked.id)
    before = contents(store)
    with pytest.raises(Forbidden, match="last active admin"):
        take(store, COMMAND_LINE, root.id)
    assert contents(store) == before


@EVERY_WAY
def test_an_admin_beside_others_can_be_taken_away(
    store: Store, root: UserRecord, take: Takes
) -> None:
    others = [make_admin(store, name) for name in ("one", "two")]
    take(store, COMMAND_LINE, others[0].id)
    take(store, origin_of(store, make_token(store, root).secret), others[1].id)
    assert [admin.username for admin in _active_admins(store)] == ["root"]


def test_an_inactive_admin_is_not_the_last_one(store: Store, root: UserRecord) -> None:
    other = make_admin(store, "other")
    user_states.block(store, COMMAND_LINE, other.id)
    assert user_states.demote(store, COMMAND_LINE, other.id)
    users.delete(store, COMMAND_LINE, other.id)


def _active_admins(store: Store) -> list[UserRecord]:
    return list(list_users(store, UserFilter(only_admins=True, is_active=True)).items)


@EVERY_WAY
def test_two_admins_who_take_each_other_away_at_once_leave_one(
    store: Store, root: UserRecord, take: Takes
) -> None:
    one, two = root, make_admin(store, "other")
    for number in range(ROUNDS):
        by_one = origin_of(store, make_token(store, one).secret)
        by_two = origin_of(store, make_token(store, two).secret)
        results = at_once(
            [
                lambda by=by_one, other=two: take(store, by, other.id),
                lambda by=by_two, other=one: take(store, by, other.id),
            ]
        )
        (left,) = _active_admins(store)
        assert len([result for result in results if isinstance(result, Exception)]) == 1
        one, two = left, make_admin(store, f"admin{number}")


def test_many_ways_at_once_to_lose_the_last_admin_leave_one(store: Store, root: UserRecord) -> None:
    for number in range(ROUNDS // 2):
        (survivor,) = _active_admins(store)
        admins = [make_admin(store, f"admin{number}.{index}") for index in range(len(TAKES_AWAY))]
        users.delete(store, COMMAND_LINE, survivor.id)
        at_once(
            [
                lambda take=take, admin=admin: take(store, COMMAND_LINE, admin.id)
                for take, admin in zip(TAKES_AWAY, admins, strict=True)
            ]
        )
        assert len(_active_admins(store)) == 1
