from __future__ import annotations

from datetime import timedelta

import pytest

from tests.conftest import START, ManualClock
from tests.factories import current_of, make_session, make_token, make_user, origin_of
from tests.services.conftest import contents, events_of
from tokensrv.clock import midnight
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.errors import Forbidden, NotFound
from tokensrv.services.account import calendar
from tokensrv.services.directory import user_states
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE, Origin

TODAY = START.date()


@pytest.fixture
def alice(store: Store) -> UserRecord:
    return make_user(store)


@pytest.fixture
def origin(store: Store, alice: UserRecord) -> Origin:
    return Origin(current_of(store, make_session(store, alice)).caller)


def _names(store: Store, secret: str) -> list[str]:
    found = calendar.expiries(store, secret)
    assert found is not None
    return [expiry.name for expiry in found.expiries]


def test_a_feed_shows_what_will_expire_the_first_one_first(
    store: Store, alice: UserRecord, origin: Origin, clock: ManualClock
) -> None:
    ends = {"late": 30, "soon": 2, "over": 1, "never": None}
    for name, days in ends.items():
        day = None if days is None else TODAY + timedelta(days=days)
        make_token(store, alice, name=name, expires_on=day)
    later = TODAY + timedelta(days=9)
    revoked = make_token(store, alice, name="revoked", expires_on=later).record
    tokens.revoke(store, COMMAND_LINE, revoked.id)
    make_token(store, alice, name="hidden", expires_on=later, kind=TokenKind.IMPERSONATION)
    make_token(store, make_user(store, "bob"), name="bob's", expires_on=later)
    clock.set(midnight(TODAY + timedelta(days=1)))
    new = calendar.make(store, origin)
    found = calendar.expiries(store, new.secret)
    assert found is not None
    assert found.username == "alice"
    assert [(expiry.name, expiry.day) for expiry in found.expiries] == [
        ("soon", TODAY + timedelta(days=2)),
        ("late", TODAY + timedelta(days=30)),
    ]


def test_the_secret_is_stored_nowhere(store: Store, origin: Origin) -> None:
    new = calendar.make(store, origin)
    assert len(new.secret) == 43
    assert new.secret not in repr(new)
    assert new.secret not in repr(contents(store))


def test_a_new_feed_takes_the_place_of_the_one_before(
    store: Store, alice: UserRecord, origin: Origin, clock: ManualClock
) -> None:
    first = calendar.make(store, origin)
    clock.advance(seconds=1)
    second = calendar.make(store, origin)
    assert calendar.expiries(store, first.secret) is None
    assert _names(store, second.secret) == []
    assert calendar.made_at(store, alice.id) == START + timedelta(seconds=1)
    assert [event.data for event in events_of(store, "feed.made")] == [{"user_id": alice.id}] * 2


def test_a_revoked_feed_is_gone_and_can_be_revoked_once(
    store: Store, alice: UserRecord, origin: Origin
) -> None:
    new = calendar.make(store, origin)
    calendar.revoke(store, origin)
    assert calendar.expiries(store, new.secret) is None
    assert calendar.made_at(store, alice.id) is None
    with pytest.raises(NotFound):
        calendar.revoke(store, origin)
    (event,) = events_of(store, "feed.revoked")
    assert event.subject_id == alice.id


def test_the_feed_of_a_blocked_user_is_closed_until_he_is_unblocked(
    store: Store, alice: UserRecord, origin: Origin
) -> None:
    new = calendar.make(store, origin)
    user_states.block(store, COMMAND_LINE, alice.id)
    assert calendar.expiries(store, new.secret) is None
    user_states.unblock(store, COMMAND_LINE, alice.id)
    assert _names(store, new.secret) == []


def test_no_token_opens_a_feed_and_no_feed_is_a_token(
    store: Store, alice: UserRecord, origin: Origin
) -> None:
    token, new = make_token(store, alice), calendar.make(store, origin)
    assert calendar.expiries(store, token.secret) is None
    assert tokens.find_by_secret(store, new.secret) is None


def test_whoever_acts_as_a_user_makes_no_feed_but_may_revoke_it(
    store: Store, alice: UserRecord, origin: Origin, root: UserRecord
) -> None:
    calendar.make(store, origin)
    as_alice = origin_of(store, make_token(store, root, ("sudo",)).secret, sudo="alice")
    with pytest.raises(Forbidden):
        calendar.make(store, as_alice)
    calendar.revoke(store, as_alice)
    (event,) = events_of(store, "feed.revoked")
    assert (event.actor, event.subject) == ("root", "alice")


def test_the_command_line_is_nobody_whose_feed_there_could_be(store: Store) -> None:
    with pytest.raises(Forbidden):
        calendar.make(store, COMMAND_LINE)
