from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.conftest import ManualClock
from tests.databases import opened
from tests.factories import (
    BROWSER,
    current_of,
    make_admin,
    make_session,
    make_token,
    make_user,
    origin_in,
)
from tests.services.conftest import at_once, contents, events_of
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain.caller import Refused
from tokensrv.errors import Forbidden, Invalid, NotFound, TokensrvError
from tokensrv.services.account import endings, impersonation, recognition
from tokensrv.services.account.recognition import ACTING
from tokensrv.services.account.sessions import Current, NewSession
from tokensrv.services.directory import user_states, users
from tokensrv.services.lifecycle import minting, tokens
from tokensrv.services.lifecycle.minting import TokenWish
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

REASON = "ticket 12"
Verb = Callable[[Store, UserRecord, UserRecord], object]


@pytest.fixture
def alice(store: Store) -> UserRecord:
    return make_user(store)


@pytest.fixture
def at_work(store: Store, root: UserRecord) -> Current:
    """The session of an admin who is himself."""
    return current_of(store, make_session(store, root))


@pytest.fixture
def acting(store: Store, at_work: Current, alice: UserRecord) -> NewSession:
    """The same session when it acts as alice."""
    return _start(store, at_work, alice.id)


def _start(store: Store, current: Current, user_id: int, reason: str = REASON) -> NewSession:
    return impersonation.start(store, origin_in(current), current, user_id, reason)


def _stop(store: Store, current: Current) -> NewSession:
    return impersonation.stop(store, origin_in(current), current)


def test_an_admin_becomes_a_user_under_a_new_cookie(
    store: Store, root: UserRecord, alice: UserRecord
) -> None:
    before = make_session(store, root)
    acting = _start(store, current_of(store, before), alice.id)
    assert recognition.find(store, before.secret, BROWSER) is None
    current = current_of(store, acting)
    assert (current.user.id, current.subject.id) == (root.id, alice.id)
    assert current.caller is not None
    assert current.caller.is_lent
    [event] = events_of(store, "impersonation.started")
    assert (event.actor, event.subject, event.reason) == ("root", "alice", REASON)
    assert event.data == {"user_id": alice.id, "username": "alice"}
    assert (event.ip, event.request_id) == (BROWSER.ip, "request-1")


@pytest.mark.parametrize(
    ("before", "error", "words"),
    [
        pytest.param(user_states.block, Forbidden, "a blocked user", id="blocked"),
        pytest.param(user_states.deactivate, Forbidden, "a deactivated user", id="deactivated"),
        pytest.param(user_states.ban, Forbidden, "a banned user", id="banned"),
        pytest.param(user_states.promote, Forbidden, "an administrator", id="admin"),
        pytest.param(users.delete, NotFound, "was not found", id="deleted"),
    ],
)
def test_nobody_becomes_somebody_who(
    store: Store,
    at_work: Current,
    alice: UserRecord,
    before: Callable[..., object],
    error: type[TokensrvError],
    words: str,
) -> None:
    before(store, COMMAND_LINE, alice.id)
    rows = contents(store)
    with pytest.raises(error, match=words):
        _start(store, at_work, alice.id)
    assert contents(store) == rows


def test_nobody_becomes_himself(store: Store, settings: Settings, clock: ManualClock) -> None:
    root = make_admin(store)
    with opened(replace(settings, sudo_admin_targets=True), clock) as allowing:
        current = current_of(allowing, make_session(allowing, root))
        with pytest.raises(Forbidden, match="yourself"):
            _start(allowing, current, root.id)


def test_a_setting_lets_an_admin_become_another_one(
    store: Store, settings: Settings, clock: ManualClock
) -> None:
    root, other = make_admin(store), make_admin(store, "other")
    with opened(replace(settings, sudo_admin_targets=True), clock) as allowing:
        current = current_of(allowing, make_session(allowing, root))
        acting = current_of(allowing, _start(allowing, current, other.id))
        assert acting.subject.username == "other"


@pytest.mark.parametrize(
    ("reason", "problem"),
    [
        pytest.param("", "is missing", id="none"),
        pytest.param(" \t", "is missing", id="blank"),
        pytest.param("x" * 256, "is invalid", id="too long"),
        pytest.param("a\0b", "is invalid", id="not storable"),
    ],
)
def test_a_reason_is_asked_for(
    store: Store, at_work: Current, alice: UserRecord, reason: str, problem: str
) -> None:
    before = contents(store)
    with pytest.raises(Invalid, match=f"reason {problem}"):
        _start(store, at_work, alice.id, reason)
    assert contents(store) == before


def test_only_admins_begin(store: Store, alice: UserRecord) -> None:
    current = current_of(store, make_session(store, alice))
    with pytest.raises(Forbidden):
        _start(store, current, make_user(store, "bob").id)


def test_whoever_is_demoted_meanwhile_begins_nothing(
    store: Store, at_work: Current, alice: UserRecord
) -> None:
    make_admin(store, "other")
    user_states.demote(store, COMMAND_LINE, at_work.user.id)
    before = contents(store)
    with pytest.raises(Forbidden):
        _start(store, at_work, alice.id)
    assert contents(store) == before


def test_nobody_becomes_somebody_else_on_the_way(
    store: Store, at_work: Current, acting: NewSession
) -> None:
    bob, before = make_user(store, "bob"), contents(store)
    # The page is closed, but what began before the change of power may still be on its way.
    for current in (at_work, current_of(store, acting)):
        with pytest.raises(Forbidden):
            _start(store, current, bob.id)
    assert contents(store)["web_session"] == before["web_session"]


def test_of_two_that_begin_at_once_one_wins(store: Store, at_work: Current) -> None:
    targets = [make_user(store, f"user{number}") for number in range(4)]
    answers = at_once([lambda user=user: _start(store, at_work, user.id) for user in targets])
    assert sum(isinstance(answer, NewSession) for answer in answers) == 1
    assert len(events_of(store, "impersonation.started")) == 1


def test_it_is_stopped_under_another_cookie(
    store: Store, root: UserRecord, acting: NewSession
) -> None:
    stopped = _stop(store, current_of(store, acting))
    assert recognition.find(store, acting.secret, BROWSER) is None
    current = current_of(store, stopped)
    assert not current.is_impersonating
    assert current.caller is not None
    assert (current.caller.subject.id, current.caller.is_sudo) == (root.id, False)
    [event] = events_of(store, "impersonation.stopped")
    assert (event.actor, event.subject, event.reason) == ("root", "alice", REASON)
    with pytest.raises(NotFound):
        _stop(store, current)


def _an_hour_passes(_store: Store, _root: UserRecord, _alice: UserRecord) -> None:
    """Do nothing; the test moves the clock."""


def _block_the_user(store: Store, _root: UserRecord, alice: UserRecord) -> None:
    user_states.block(store, COMMAND_LINE, alice.id)


def _promote_the_user(store: Store, _root: UserRecord, alice: UserRecord) -> None:
    user_states.promote(store, COMMAND_LINE, alice.id)


def _demote_the_admin(store: Store, root: UserRecord, _alice: UserRecord) -> None:
    make_admin(store, "other")
    user_states.demote(store, COMMAND_LINE, root.id)


@pytest.mark.parametrize(
    "verb", [_an_hour_passes, _block_the_user, _promote_the_user, _demote_the_admin]
)
def test_it_can_only_be_stopped_after(
    store: Store,
    root: UserRecord,
    alice: UserRecord,
    acting: NewSession,
    clock: ManualClock,
    verb: Verb,
) -> None:
    passes = ACTING if verb is _an_hour_passes else timedelta()
    clock.advance(seconds=passes.total_seconds() - 1)
    assert current_of(store, acting).caller is not None
    clock.advance(seconds=1)
    verb(store, root, alice)
    current = current_of(store, acting)
    assert current.is_impersonating
    assert current.caller is None
    own = current_of(store, _stop(store, current))
    assert own.subject.id == root.id
    assert own.caller is not None
    assert len(events_of(store, "impersonation.stopped")) == 1


@pytest.mark.parametrize("whose", ["admin", "user"])
def test_it_ends_with(
    store: Store, root: UserRecord, alice: UserRecord, acting: NewSession, whose: str
) -> None:
    make_admin(store, "other")
    users.delete(store, COMMAND_LINE, (root if whose == "admin" else alice).id)
    assert recognition.find(store, acting.secret, BROWSER) is None


def test_a_blocked_admin_acts_as_nobody(store: Store, root: UserRecord, acting: NewSession) -> None:
    make_admin(store, "other")
    user_states.block(store, COMMAND_LINE, root.id)
    user_states.unblock(store, COMMAND_LINE, root.id)
    assert recognition.find(store, acting.secret, BROWSER) is None


def test_nothing_is_minted_and_what_is_revoked_is_recorded(
    store: Store, alice: UserRecord, acting: NewSession
) -> None:
    token = make_token(store, alice).record
    origin = origin_in(current_of(store, acting))
    wish = TokenWish(name="a token", scopes=("api",))
    for make in (
        lambda: minting.create_for_self(store, origin, wish),
        lambda: minting.create_for_user(store, origin, alice.id, wish),
    ):
        with pytest.raises(Forbidden):
            make()
    tokens.revoke(store, origin, token.id)
    [event] = events_of(store, "token.revoked")
    assert (event.actor, event.subject, event.reason) == ("root", "alice", REASON)


def test_a_verb_on_its_way_is_refused_when_the_admin_is_one_no_more(
    store: Store, root: UserRecord, alice: UserRecord, acting: NewSession
) -> None:
    token = make_token(store, alice).record
    origin = origin_in(current_of(store, acting))
    _demote_the_admin(store, root, alice)
    with pytest.raises(Refused):
        tokens.revoke(store, origin, token.id)
    assert events_of(store, "token.revoked") == []


def test_signing_out_stops_it_too(store: Store, acting: NewSession) -> None:
    current = current_of(store, acting)
    for _ in range(2):
        endings.sign_out(store, origin_in(current), current)
    assert contents(store)["web_session"] == []
    [event] = events_of(store, "impersonation.stopped")
    assert (event.actor, event.subject, event.reason) == ("root", "alice", REASON)
