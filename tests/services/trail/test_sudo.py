from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import START, ManualClock
from tests.databases import opened
from tests.factories import caller_of, make_admin, make_token, make_user
from tests.services.conftest import at_once, contents, events_of, failing
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain.caller import Caller, Check, Refusal, SudoAsk
from tokensrv.domain.facts import UserFacts
from tokensrv.domain.introspection import Verdict
from tokensrv.domain.usernames import target
from tokensrv.errors import StorageUnavailable
from tokensrv.services.directory import user_states, users
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import NewToken, UserRecord
from tokensrv.services.trail import sudo
from tokensrv.services.trail.events import COMMAND_LINE, Origin
from tokensrv.services.trail.usage import Usage

ORIGIN = Origin(ip="192.0.2.7", request_id="request-1", client_id="client-1")
WHERE = {"method": "GET", "path": "/api/v4/user"}


@pytest.fixture
def alice(store: Store, root: UserRecord) -> UserRecord:
    return make_user(store)


@pytest.fixture
def token(store: Store, root: UserRecord) -> NewToken:
    return make_token(store, root, ("api", "sudo"))


@pytest.fixture
def caller(store: Store, alice: UserRecord, token: NewToken) -> Caller:
    return caller_of(store, token.secret, sudo="alice", reason="ticket 12")


@pytest.fixture
def other_admin(store: Store, alice: UserRecord) -> UserRecord:
    return make_admin(store, "other")


def by_client(store: Store, usage: Usage, caller: Caller, origin: Origin) -> Caller | Refusal:
    """Return what becomes of a sudo that a client asks about."""
    assert caller.token is not None
    verdict = Verdict(caller, caller.token, caller.scopes)
    [found] = sudo.record(store, usage, [verdict], origin, **WHERE)
    assert found is not None
    return found.caller if isinstance(found, Verdict) else found


def test_a_use_is_in_the_log_before_it_returns(
    store: Store, caller: Caller, token: NewToken, root: UserRecord, alice: UserRecord
) -> None:
    assert sudo.use(store, caller, ORIGIN, **WHERE) == caller
    row = events_of(store)[-1]
    assert (row.action, row.token_id, row.at) == ("sudo.used", token.record.id, START)
    assert (row.actor_id, row.actor) == (root.id, "root")
    assert (row.subject_id, row.subject) == (alice.id, "alice")
    assert (row.reason, row.ip, row.request_id) == ("ticket 12", "192.0.2.7", "request-1")
    assert row.data == WHERE


def test_every_use_is_an_event(store: Store, caller: Caller) -> None:
    for _ in range(3):
        sudo.use(store, caller, ORIGIN, **WHERE)
    assert len(events_of(store, "sudo.used")) == 3


def test_a_use_that_cannot_be_recorded_is_refused(store: Store, caller: Caller) -> None:
    with failing(store, "INSERT INTO event "), pytest.raises(StorageUnavailable):
        sudo.use(store, caller, ORIGIN, **WHERE)
    assert events_of(store, "sudo.used") == []


def _cut_sudo(store: Store, token: NewToken) -> None:
    tokens.change(store, COMMAND_LINE, token.record.id, tokens.TokenChanges(scopes=("api",)))


@pytest.mark.parametrize(
    ("strike", "check"),
    [
        pytest.param(
            lambda s, token, _root, _alice: tokens.revoke(s, COMMAND_LINE, token.record.id),
            Check.REVOKED,
            id="the token is revoked",
        ),
        pytest.param(
            lambda s, token, _root, _alice: _cut_sudo(s, token),
            Check.SCOPE,
            id="the token loses sudo",
        ),
        pytest.param(
            lambda s, _token, root, _alice: user_states.block(s, COMMAND_LINE, root.id),
            Check.OWNER,
            id="the actor is blocked",
        ),
        pytest.param(
            lambda s, _token, root, _alice: user_states.demote(s, COMMAND_LINE, root.id),
            Check.ADMIN,
            id="the actor is demoted",
        ),
        pytest.param(
            lambda s, _token, root, _alice: users.delete(s, COMMAND_LINE, root.id),
            Check.UNKNOWN,
            id="the actor is deleted",
        ),
        pytest.param(
            lambda s, _token, _root, alice: user_states.deactivate(s, COMMAND_LINE, alice.id),
            Check.TARGET_STATE,
            id="the subject is deactivated",
        ),
        pytest.param(
            lambda s, _token, _root, alice: user_states.promote(s, COMMAND_LINE, alice.id),
            Check.TARGET_ADMIN,
            id="the subject is promoted",
        ),
        pytest.param(
            lambda s, _token, _root, alice: users.delete(s, COMMAND_LINE, alice.id),
            Check.TARGET,
            id="the subject is deleted",
        ),
    ],
)
def test_the_decision_is_made_again_where_it_is_recorded(
    store: Store,
    other_admin: UserRecord,
    root: UserRecord,
    alice: UserRecord,
    token: NewToken,
    caller: Caller,
    strike: Callable[..., Any],
    check: Check,
) -> None:
    """The lookup said yes; in the moment before the event something is taken away."""
    strike(store, token, root, alice)
    before = contents(store)
    decision = sudo.use(store, caller, ORIGIN, **WHERE)
    assert isinstance(decision, Refusal)
    assert decision.check is check
    assert contents(store) == before


def test_the_successor_of_a_name_is_not_the_subject_that_was_meant(
    store: Store, alice: UserRecord, caller: Caller
) -> None:
    users.delete(store, COMMAND_LINE, alice.id)
    make_user(store, "alice")
    decision = sudo.use(store, caller, ORIGIN, **WHERE)
    assert isinstance(decision, Refusal)
    assert decision.check is Check.TARGET


def test_a_use_and_the_end_of_its_power_at_once_have_an_order(
    store: Store, root: UserRecord, alice: UserRecord, other_admin: UserRecord
) -> None:
    """Whoever was recorded was an admin then: no use stands after the demotion in the log."""
    for _ in range(10):
        secret = make_token(store, other_admin, ("sudo",)).secret
        caller = caller_of(store, secret, sudo="alice")
        *_, demoted = at_once(
            [
                *[lambda caller=caller: sudo.use(store, caller, ORIGIN, **WHERE)] * 3,
                lambda: user_states.demote(store, COMMAND_LINE, other_admin.id),
            ]
        )
        assert demoted is True
        later = [row.action for row in events_of(store)]
        assert "sudo.used" not in later[max(_places(later, "user.demoted")) :]
        user_states.promote(store, COMMAND_LINE, other_admin.id)


def _places(actions: list[str], action: str) -> list[int]:
    return [place for place, name in enumerate(actions) if name == action]


def test_a_client_asks_often_and_the_minute_is_two_events(
    store: Store, usage: Usage, caller: Caller, clock: ManualClock, token: NewToken
) -> None:
    for _ in range(5):
        assert by_client(store, usage, caller, ORIGIN) == caller
    assert len(events_of(store, "sudo.used")) == 1
    clock.advance(seconds=60)
    usage.flush()
    (row,) = events_of(store, "sudo.counted")
    assert (row.actor, row.subject, row.token_id) == ("root", "alice", token.record.id)
    # Reasons may differ, so that none of them is told of all.
    assert (row.client_id, row.reason) == ("client-1", None)
    assert row.data == {"of": "sudo.used", "count": 4, "minute": "2026-03-10T12:00:00.000Z"}
    by_client(store, usage, caller, ORIGIN)
    assert len(events_of(store, "sudo.used")) == 2


def test_another_client_token_or_subject_is_an_event_of_its_own(
    store: Store, usage: Usage, root: UserRecord, caller: Caller
) -> None:
    make_user(store, "carol")
    again = make_token(store, root, ("sudo",)).secret
    other_client = dataclasses.replace(ORIGIN, client_id="client-2")
    for who, origin in (
        (caller, ORIGIN),
        (caller, other_client),
        (caller_of(store, again, sudo="alice"), ORIGIN),
        (caller_of(store, again, sudo="carol"), ORIGIN),
    ):
        by_client(store, usage, who, origin)
    assert len(events_of(store, "sudo.used")) == 4


def test_a_clients_use_that_could_not_be_recorded_is_not_counted_as_one_that_was(
    store: Store, usage: Usage, caller: Caller
) -> None:
    with failing(store, "INSERT INTO event "):
        for _ in range(2):
            with pytest.raises(StorageUnavailable):
                by_client(store, usage, caller, ORIGIN)
    by_client(store, usage, caller, ORIGIN)
    assert len(events_of(store, "sudo.used")) == 1


def test_a_clients_use_that_is_refused_in_the_end_is_not_counted_either(
    store: Store, usage: Usage, caller: Caller, alice: UserRecord
) -> None:
    user_states.block(store, COMMAND_LINE, alice.id)
    for _ in range(2):
        decision = by_client(store, usage, caller, ORIGIN)
        assert isinstance(decision, Refusal)


def _refusal(caller: Caller, check: Check, **changed: Any) -> Refusal:
    values = {"token": caller.token, "actor": caller.actor, "ask": SudoAsk(target("alice"), "why")}
    return Refusal(check, **values | changed)


@pytest.mark.parametrize(
    "check", [check for check in Check if Refusal(check).is_sudo and check is not Check.SUDO]
)
def test_a_refused_sudo_is_an_event_that_says_which_check_it_was(
    store: Store, usage: Usage, caller: Caller, alice: UserRecord, check: Check
) -> None:
    subject = UserFacts(alice.id, "alice", "active", is_admin=False)
    refusal = _refusal(caller, check, target=subject)
    sudo.refused(store, usage, refusal, ORIGIN, **WHERE)
    row = events_of(store)[-1]
    assert (row.action, row.actor, row.subject) == ("sudo.refused", "root", "alice")
    assert (row.token_id, row.client_id, row.reason) == (caller.token.id, "client-1", "why")
    assert row.data == WHERE | {"check": check.value, "target": "alice"}


@pytest.mark.parametrize(
    "check", [Check.UNKNOWN, Check.EXPIRED, Check.REVOKED, Check.OWNER, Check.SUDO]
)
def test_a_dead_credential_and_an_unreadable_sudo_are_no_events(
    store: Store, usage: Usage, caller: Caller, check: Check
) -> None:
    before = contents(store)
    sudo.refused(store, usage, _refusal(caller, check, ask=None), ORIGIN, **WHERE)
    assert contents(store) == before


def test_an_unknown_target_is_told_as_it_was_written(
    store: Store, usage: Usage, caller: Caller
) -> None:
    ask = SudoAsk(target("NoBody"))
    sudo.refused(store, usage, _refusal(caller, Check.TARGET, ask=ask), ORIGIN, **WHERE)
    row = events_of(store)[-1]
    assert (row.subject_id, row.subject, row.data["target"]) == (None, None, "NoBody")


def test_refusals_are_counted_by_token_check_and_minute(
    store: Store, usage: Usage, caller: Caller, clock: ManualClock
) -> None:
    for _ in range(3):
        sudo.refused(store, usage, _refusal(caller, Check.TARGET), ORIGIN, **WHERE)
        sudo.refused(store, usage, _refusal(caller, Check.SCOPE), ORIGIN, **WHERE)
    assert [row.data["check"] for row in events_of(store, "sudo.refused")] == ["target", "scope"]
    clock.advance(seconds=60)
    usage.flush()
    counted = events_of(store, "sudo.counted")
    assert [(row.data["of"], row.data["count"]) for row in counted] == [("sudo.refused", 2)] * 2
    sudo.refused(store, usage, _refusal(caller, Check.TARGET), ORIGIN, **WHERE)
    assert len(events_of(store, "sudo.refused")) == 3


def test_a_refusal_that_cannot_be_recorded_is_not_forgotten(
    store: Store, usage: Usage, caller: Caller
) -> None:
    with failing(store, "INSERT INTO event "), pytest.raises(StorageUnavailable):
        sudo.refused(store, usage, _refusal(caller, Check.TARGET), ORIGIN, **WHERE)
    sudo.refused(store, usage, _refusal(caller, Check.TARGET), ORIGIN, **WHERE)
    assert len(events_of(store, "sudo.refused")) == 1


def test_a_policy_of_this_instance_counts_when_the_decision_is_repeated(
    settings: Settings, clock: ManualClock, store: Store, caller: Caller, other_admin: UserRecord
) -> None:
    without_reason = caller._replace(reason=None)
    subject = UserFacts(other_admin.id, "other", "active", is_admin=True)
    as_admin = caller._replace(subject=subject)
    strict = dataclasses.replace(settings, sudo_reason_required=True, sudo_admin_targets=True)
    with opened(strict, clock) as strict_store:
        refused = sudo.use(strict_store, without_reason, ORIGIN, **WHERE)
        assert isinstance(refused, Refusal)
        assert refused.check is Check.REASON
        assert sudo.use(strict_store, as_admin, ORIGIN, **WHERE) == as_admin
    refused = sudo.use(store, as_admin, ORIGIN, **WHERE)
    assert isinstance(refused, Refusal)
    assert refused.check is Check.TARGET_ADMIN
