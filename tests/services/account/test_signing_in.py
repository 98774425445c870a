from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import event, select

from tests.conftest import ManualClock
from tests.factories import BROWSER, current_of, make_admin, make_session, make_user, origin_in
from tests.services.conftest import contents, events_of
from tokensrv.db import Store
from tokensrv.errors import Forbidden, NotFound
from tokensrv.models import Totp, User, WebSession
from tokensrv.services.account import impersonation, recognition, sessions, signing_in, throttle
from tokensrv.services.account.proof import Denied, Reason
from tokensrv.services.account.sessions import Browser, Current, NewSession, Stage
from tokensrv.services.account.throttle import PASSWORD as PASSWORD_LIMIT
from tokensrv.services.authority import confirm
from tokensrv.services.directory import passwords, user_states, users
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE, Origin

pytestmark = pytest.mark.usefixtures("cheap_hashes")

PASSWORD = "correct horse battery"
ORIGIN = Origin(ip=BROWSER.ip, request_id="request-1")
WRONG = Denied(Reason.WRONG)


@pytest.fixture
def alice(store: Store) -> UserRecord:
    return with_password(store, make_user(store))


def with_password(store: Store, user: UserRecord) -> UserRecord:
    users.set_password(store, COMMAND_LINE, user.id, PASSWORD, is_expired=False)
    return user


def with_second_factor(store: Store, user: UserRecord) -> None:
    now = sessions.utcnow(store.clock)
    with store.write() as session:
        session.add(
            Totp(user_id=user.id, secret_encrypted="sealed", created_at=now, confirmed_at=now)
        )


def sign_in(
    store: Store,
    login: str = "alice",
    password: str = PASSWORD,
    *,
    browser: Browser = BROWSER,
    previous: Current | None = None,
) -> NewSession | Denied:
    return signing_in.sign_in(store, ORIGIN, login, password, browser, previous=previous)


def signed_in(store: Store, **options: Current) -> NewSession:
    new = sign_in(store, **options)
    assert isinstance(new, NewSession)
    return new


def prove_second_factor(store: Store, current: Current, method: str = "totp") -> NewSession:
    """Do what the verbs of the second factors do once one was right."""
    with store.write() as session:
        origin = replace(ORIGIN, caller=current.caller)
        user = confirm(session, store, origin, users=[current.user.id]).user(current.user.id)
        row = sessions.lock(session, store, current.session.id)
        return signing_in.complete(session, store, origin, row, user, method=method)


@pytest.mark.parametrize(
    "login", ["alice", "ALICE", " Alice ", "alice@example.org", "Alice@Example.ORG"], ids=repr
)
def test_somebody_signs_in_by_his_name_or_his_address_in_any_case(
    store: Store, alice: UserRecord, login: str
) -> None:
    new = sign_in(store, login)
    assert isinstance(new, NewSession)
    current = current_of(store, new)
    assert (current.user.id, current.session.stage) == (alice.id, Stage.FULL)
    assert current.caller is not None
    assert current.is_fresh(sessions.utcnow(store.clock))
    [event] = events_of(store, "user.signed_in")
    assert (event.actor_id, event.subject_id, event.ip) == (alice.id, alice.id, BROWSER.ip)
    assert event.data["methods"] == ["password"]


@pytest.mark.parametrize(
    ("login", "password"),
    [
        pytest.param("alice", PASSWORD + "!", id="wrong password"),
        pytest.param("alice", "", id="no password"),
        pytest.param("alice", PASSWORD.upper(), id="other case"),
        pytest.param("nobody", PASSWORD, id="unknown name"),
        pytest.param("nobody@example.org", PASSWORD, id="unknown address"),
        pytest.param("bob", PASSWORD, id="user without a password"),
        pytest.param("", "", id="nothing"),
        pytest.param("alice\0", PASSWORD, id="NUL"),
        pytest.param("\ud800", "\ud800", id="half a letter"),
        pytest.param("1", PASSWORD, id="an id"),
    ],
)
def test_whatever_is_wrong_is_told_alike_and_changes_nothing(
    store: Store, alice: UserRecord, login: str, password: str
) -> None:
    make_user(store, "bob")
    before = contents(store)
    assert sign_in(store, login, password) == WRONG
    assert contents(store) == before


@pytest.mark.parametrize("switch", [user_states.block, user_states.ban])
def test_that_a_user_is_blocked_is_told_to_whoever_has_his_password(
    store: Store, alice: UserRecord, switch: Callable[[Store, Origin, int], bool]
) -> None:
    make_admin(store)
    switch(store, COMMAND_LINE, alice.id)
    assert sign_in(store, password="guessed password") == WRONG
    assert sign_in(store) == Denied(Reason.INACTIVE)
    assert contents(store)["web_session"] == []


def test_a_complete_sign_in_wakes_a_deactivated_user(
    store: Store, alice: UserRecord, clock: ManualClock
) -> None:
    make_admin(store)
    user_states.deactivate(store, COMMAND_LINE, alice.id)
    clock.advance(seconds=60)
    assert sign_in(store, password="guessed password") == WRONG
    assert users.get(store, alice.id).state == "deactivated"
    assert not isinstance(sign_in(store), Denied)
    awake = users.get(store, alice.id)
    assert (awake.state, awake.updated_at) == ("active", sessions.utcnow(clock))
    [woken] = events_of(store, "user.activated")
    [event] = events_of(store, "user.signed_in")
    assert (woken.actor_id, woken.seq) == (alice.id, event.seq - 1)


def test_a_blocked_user_stays_so_with_a_second_factor(store: Store, alice: UserRecord) -> None:
    make_admin(store)
    with_second_factor(store, alice)
    user_states.deactivate(store, COMMAND_LINE, alice.id)
    waiting = current_of(store, signed_in(store))
    assert users.get(store, alice.id).state == "deactivated"
    user_states.block(store, COMMAND_LINE, alice.id)
    with pytest.raises(NotFound):
        prove_second_factor(store, waiting)
    assert users.get(store, alice.id).state == "blocked"


def test_name_variants_share_one_budget_and_the_right_password_is_not_looked_at(
    throttled: Store,
) -> None:
    with_password(throttled, make_user(throttled))
    for login in ["alice", "ALICE", "alice@example.org", " Alice "] * 3:
        answer = sign_in(throttled, login, "guessed password")
    assert answer == Denied(Reason.TOO_MANY, 15 * 60)
    assert sign_in(throttled) == answer
    elsewhere = replace(BROWSER, ip="198.51.100.9")
    assert isinstance(sign_in(throttled, browser=elsewhere), NewSession)


def test_unknown_names_are_throttled_as_known_ones_are(throttled: Store) -> None:
    answers = [sign_in(throttled, "nobody", "x") for _ in range(PASSWORD_LIMIT.count + 1)]
    assert answers == [WRONG] * PASSWORD_LIMIT.count + [Denied(Reason.TOO_MANY, 15 * 60)]


def test_a_success_makes_the_failures_good(throttled: Store) -> None:
    with_password(throttled, make_user(throttled))
    for _ in range(2):
        for _ in range(PASSWORD_LIMIT.count - 1):
            assert sign_in(throttled, password="guessed password") == WRONG
        assert isinstance(sign_in(throttled), NewSession)


def test_a_password_that_was_changed_meanwhile_is_wrong(
    store: Store, alice: UserRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = passwords.verify

    def slowly(stored: str | None, password: str) -> bool:
        is_right = verify(stored, password)
        users.set_password(store, COMMAND_LINE, alice.id, "another password", is_expired=False)
        return is_right

    monkeypatch.setattr(passwords, "verify", slowly)
    assert sign_in(store) == WRONG


def test_a_hash_of_old_parameters_is_renewed(
    store: Store, alice: UserRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    stronger = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    monkeypatch.setattr(passwords, "_HASHER", stronger)
    assert isinstance(sign_in(store), NewSession)
    with store.read() as session:
        stored = session.scalar(select(User.password_hash).where(User.id == alice.id))
    assert str(stored).startswith("$argon2id$v=19$m=16,t=2,p=1$")
    assert isinstance(sign_in(store), NewSession)


def test_the_session_that_the_browser_had_is_over(store: Store, alice: UserRecord) -> None:
    bob = make_session(store, make_user(store, "bob"))
    new = signed_in(store, previous=current_of(store, bob))
    assert recognition.find(store, bob.secret, BROWSER) is None
    assert new.secret != bob.secret


@pytest.mark.postgres
def test_two_that_want_the_same_session_and_network_wait_for_each_other(throttled: Store) -> None:
    with_password(throttled, make_user(throttled))
    bob = make_user(throttled, "bob")
    previous = current_of(throttled, make_session(throttled, bob))
    asks = threading.Event()

    def note(*executed: Any) -> None:
        statement = executed[2]
        if "web_session" in statement and "FOR UPDATE" in statement:
            asks.set()

    with ThreadPoolExecutor(1) as pool:
        with throttled.write() as session:
            sessions.lock(session, throttled, previous.session.id)
            event.listen(throttled.engine, "before_cursor_execute", note)
            waiting = pool.submit(signed_in, throttled, previous=previous)
            assert asks.wait(10)
            account = throttle.account_of(bob.id)
            throttle.forgive(session, throttle.for_password(account, BROWSER.ip))
        assert waiting.result(10).record.user_id != bob.id


def test_whom_an_admin_acted_as_ends_with_the_session_that_the_browser_had(
    store: Store, alice: UserRecord
) -> None:
    admin, bob = make_admin(store), make_user(store, "bob")
    current = current_of(store, make_session(store, admin))
    acting = impersonation.start(store, origin_in(current), current, bob.id, "a reason")
    signed_in(store, previous=current_of(store, acting))
    actions = [event.action for event in events_of(store)][-2:]
    assert actions == ["impersonation.stopped", "user.signed_in"]


def test_sessions_that_are_over_leave_nothing(
    store: Store, alice: UserRecord, clock: ManualClock
) -> None:
    make_session(store, alice)
    make_session(store, alice, stage=Stage.SECOND_FACTOR)
    clock.advance(seconds=sessions.PENDING.total_seconds())
    kept = signed_in(store)
    assert len(contents(store)["web_session"]) == 2
    clock.advance(seconds=sessions.IDLE.total_seconds())
    new = signed_in(store)
    assert [row[0] for row in contents(store)["web_session"]] == [new.record.id]
    assert kept.record.id != new.record.id


def test_a_second_factor_is_asked_for_before_anything_is_open(
    store: Store, alice: UserRecord
) -> None:
    with_second_factor(store, alice)
    pending = signed_in(store)
    current = current_of(store, pending)
    assert (current.session.stage, current.caller) == (Stage.SECOND_FACTOR, None)
    assert events_of(store, "user.signed_in") == []
    new = prove_second_factor(store, current)
    assert recognition.find(store, pending.secret, BROWSER) is None
    assert current_of(store, new).session.methods == ("password", "totp")
    [event] = events_of(store, "user.signed_in")
    assert event.data["methods"] == ["password", "totp"]


def test_a_password_that_an_admin_chose_is_replaced_after_the_second_factor(
    store: Store, alice: UserRecord
) -> None:
    users.set_password(store, COMMAND_LINE, alice.id, PASSWORD, is_expired=True)
    assert signed_in(store).record.stage is Stage.PASSWORD
    with_second_factor(store, alice)
    pending = current_of(store, signed_in(store))
    assert prove_second_factor(store, pending).record.stage is Stage.PASSWORD
    assert events_of(store, "user.signed_in") == []


def confirm_again(store: Store, current: Current, password: str = PASSWORD) -> NewSession | Denied:
    return signing_in.confirm_again(store, origin_in(current), current, password, BROWSER)


def test_a_password_makes_a_session_fresh_again_under_another_cookie(
    store: Store, alice: UserRecord, clock: ManualClock
) -> None:
    old = signed_in(store)
    clock.advance(seconds=sessions.FRESH.total_seconds())
    current = current_of(store, old)
    assert not current.is_fresh(sessions.utcnow(clock))
    assert confirm_again(store, current, "guessed password") == WRONG
    new = confirm_again(store, current)
    assert isinstance(new, NewSession)
    assert current_of(store, new).is_fresh(sessions.utcnow(clock))
    assert recognition.find(store, old.secret, BROWSER) is None


def test_a_session_draws_from_the_budget_of_the_sign_in(throttled: Store) -> None:
    alice = with_password(throttled, make_user(throttled))
    current = current_of(throttled, make_session(throttled, alice))
    for _ in range(PASSWORD_LIMIT.count):
        assert confirm_again(throttled, current, "guessed password") == WRONG
    assert confirm_again(throttled, current) == Denied(Reason.TOO_MANY, 15 * 60)
    assert sign_in(throttled) == Denied(Reason.TOO_MANY, 15 * 60)


def test_whoever_has_a_second_factor_proves_it_anew_within_the_hour(
    store: Store, alice: UserRecord, clock: ManualClock
) -> None:
    with_second_factor(store, alice)
    current = current_of(store, prove_second_factor(store, current_of(store, signed_in(store))))
    clock.advance(seconds=signing_in.SECOND_FACTOR_LASTS.total_seconds() - 1)
    new = confirm_again(store, current)
    assert isinstance(new, NewSession)
    clock.advance(seconds=1)
    current = current_of(store, new)
    assert signing_in.needs_second_factor(store, current)
    assert confirm_again(store, current) == Denied(Reason.SECOND_FACTOR)
    current = current_of(store, prove_second_factor(store, current))
    # A second factor alone is no proof of who he is.
    clock.advance(seconds=sessions.FRESH.total_seconds())
    assert not current.is_fresh(sessions.utcnow(clock))
    assert isinstance(confirm_again(store, current), NewSession)
    assert len(events_of(store, "user.signed_in")) == 1


def test_nobody_confirms_while_he_acts_as_another(store: Store, alice: UserRecord) -> None:
    current = current_of(store, make_session(store, with_password(store, make_admin(store))))
    acting = impersonation.start(store, origin_in(current), current, alice.id, "a reason")
    with pytest.raises(Forbidden):
        confirm_again(store, current_of(store, acting))


def test_a_session_that_ended_meanwhile_confirms_nothing(store: Store, alice: UserRecord) -> None:
    current = current_of(store, signed_in(store))
    with store.write() as session:
        session.delete(session.get_one(WebSession, current.session.id))
    with pytest.raises(NotFound):
        confirm_again(store, current)


def test_a_right_password_that_opens_nothing_is_in_the_log(
    store: Store, alice: UserRecord, caplog: pytest.LogCaptureFixture
) -> None:
    user_states.block(store, COMMAND_LINE, alice.id)
    sign_in(store)
    [line] = [record.__dict__ for record in caplog.records if record.name == "tokensrv.account"]
    assert (line["message"], line["reason"]) == ("password.denied", "inactive")
    assert line["user_id"] == alice.id


def test_what_was_typed_is_in_no_log(
    store: Store, alice: UserRecord, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sign_in(store, "typed-by-mistake", "typed-password")
    sign_in(store, "alice", "typed-password")
    lines = [record.__dict__ for record in caplog.records if record.name == "tokensrv.account"]
    assert [line["user_id"] for line in lines] == [None, alice.id]
    assert "typed-" not in str(lines)
