from __future__ import annotations

import pytest
from sqlalchemy import select

from tests.factories import BROWSER, current_of, make_admin, make_session, make_user, origin_in
from tests.services.conftest import contents, events_of
from tokensrv.db import Store
from tokensrv.errors import Forbidden, InvalidRecord, NotFound, Taken
from tokensrv.models import User
from tokensrv.services.account import (
    impersonation,
    own_password,
    recognition,
    resets,
    signing_in,
    throttle,
)
from tokensrv.services.account.proof import Denied, Reason
from tokensrv.services.account.sessions import Current, NewSession, Stage
from tokensrv.services.directory import user_states, users
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE, Origin

pytestmark = pytest.mark.usefixtures("cheap_hashes")

OLD, NEW = "correct horse battery", "staple of a new one"
ORIGIN = Origin(ip=BROWSER.ip, request_id="request-1")


@pytest.fixture
def alice(store: Store) -> UserRecord:
    return make_user(store, password=OLD)


def set_own(store: Store, current: Current, old: str = OLD, new: str = NEW) -> NewSession | Denied:
    return own_password.set_own_password(store, origin_in(current), current, old, new, BROWSER)


def is_right(store: Store, password: str) -> bool:
    answer = signing_in.sign_in(store, ORIGIN, "alice", password, BROWSER)
    return not isinstance(answer, Denied)


def test_a_changed_password_ends_every_other_session_and_a_link(
    store: Store, alice: UserRecord
) -> None:
    first, second = make_session(store, alice), make_session(store, alice)
    resets.make(store, COMMAND_LINE, alice.id)
    new = set_own(store, current_of(store, first))
    assert isinstance(new, NewSession)
    assert [row[0] for row in contents(store)["web_session"]] == [new.record.id]
    assert recognition.find(store, first.secret, BROWSER) is None
    assert recognition.find(store, second.secret, BROWSER) is None
    assert contents(store)["password_reset"] == []
    [event] = events_of(store, "user.password_set")
    assert (event.actor_id, event.subject_id) == (alice.id, alice.id)
    assert not is_right(store, OLD)
    assert is_right(store, NEW)


def test_a_password_is_changed_by_whoever_knows_it(store: Store, alice: UserRecord) -> None:
    current = current_of(store, make_session(store, alice))
    before = contents(store)
    assert set_own(store, current, "guessed password") == Denied(Reason.WRONG)
    assert contents(store) == before


@pytest.mark.parametrize("new", ["short", "password1", "alice@example.org"])
def test_a_password_that_is_guessed_first_is_refused(
    store: Store, alice: UserRecord, new: str
) -> None:
    current = current_of(store, make_session(store, alice))
    before = contents(store)
    with pytest.raises(InvalidRecord):
        set_own(store, current, new=new)
    assert contents(store) == before


def test_nobody_sets_a_password_while_he_acts_as_another(store: Store, alice: UserRecord) -> None:
    current = current_of(store, make_session(store, make_admin(store, password=OLD)))
    acting = impersonation.start(store, origin_in(current), current, alice.id, "a reason")
    with pytest.raises(Forbidden):
        set_own(store, current_of(store, acting))


def test_a_password_that_an_admin_chose_is_replaced_and_then_the_sign_in_is_complete(
    store: Store, alice: UserRecord
) -> None:
    other = make_session(store, alice, stage=Stage.PASSWORD)
    old = make_session(store, alice, stage=Stage.PASSWORD)
    new = own_password.change_expired_password(store, ORIGIN, current_of(store, old), NEW)
    assert current_of(store, new).caller is not None
    assert recognition.find(store, old.secret, BROWSER) is None
    assert recognition.find(store, other.secret, BROWSER) is None
    assert [event.action for event in events_of(store)][-2:] == [
        "user.password_set",
        "user.signed_in",
    ]
    assert is_right(store, NEW)
    with store.read() as session:
        assert session.scalar(select(User.password_expired).where(User.id == alice.id)) is False


def test_the_password_that_somebody_else_chose_is_no_new_one(
    store: Store, alice: UserRecord
) -> None:
    current = current_of(store, make_session(store, alice, stage=Stage.PASSWORD))
    with pytest.raises(InvalidRecord):
        own_password.change_expired_password(store, ORIGIN, current, OLD)


@pytest.mark.parametrize("stage", [Stage.SECOND_FACTOR, Stage.FULL])
def test_no_other_step_replaces_a_password_that_nobody_asks_for(
    store: Store, alice: UserRecord, stage: Stage
) -> None:
    current = current_of(store, make_session(store, alice, stage=stage))
    before = contents(store)
    with pytest.raises(NotFound):
        own_password.change_expired_password(store, ORIGIN, current, NEW)
    assert contents(store) == before


def test_whoever_is_blocked_meanwhile_replaces_nothing(store: Store, alice: UserRecord) -> None:
    make_admin(store)
    current = current_of(store, make_session(store, alice, stage=Stage.PASSWORD))
    user_states.block(store, COMMAND_LINE, alice.id)
    with pytest.raises(NotFound):
        own_password.change_expired_password(store, ORIGIN, current, NEW)


def test_a_new_password_forgets_the_codes_that_others_have_tried(throttled: Store) -> None:
    alice = make_user(throttled, password=OLD)
    for number in range(throttle.CODES.count):
        throttle.take(throttled, throttle.for_code(throttled, alice.id, f"198.51.100.{number}"))
    set_own(throttled, current_of(throttled, make_session(throttled, alice)))
    elsewhere = throttle.for_code(throttled, alice.id, "203.0.113.1")
    assert throttle.take(throttled, elsewhere) is None


def test_a_password_that_an_admin_sets_ends_all_sessions(store: Store, alice: UserRecord) -> None:
    for change in (
        lambda: users.set_password(store, COMMAND_LINE, alice.id, NEW, is_expired=True),
        lambda: users.change(store, COMMAND_LINE, alice.id, users.UserChanges(password=OLD)),
    ):
        make_session(store, alice)
        change()
        assert contents(store)["web_session"] == []


def test_a_name_that_is_taken_is_told_as_such_beside_a_new_password(
    store: Store, alice: UserRecord
) -> None:
    make_user(store, "bob")
    make_session(store, alice)
    before = contents(store)
    with pytest.raises(Taken):
        users.change(store, COMMAND_LINE, alice.id, users.UserChanges(username="bob", password=NEW))
    assert contents(store) == before
