from __future__ import annotations

from dataclasses import replace

import pytest

from tests.conftest import ManualClock
from tests.factories import (
    BROWSER,
    TotpApp,
    current_of,
    make_admin,
    make_session,
    make_totp,
    make_user,
    origin_in,
)
from tests.services.conftest import at_once, events_of
from tokensrv.db import Store
from tokensrv.domain.caller import Caller
from tokensrv.errors import Forbidden, NotFound
from tokensrv.services.account import second_factors, second_step
from tokensrv.services.account.factors import recovery_codes, totp
from tokensrv.services.account.proof import Denied, Reason
from tokensrv.services.account.sessions import Current, NewSession, Stage
from tokensrv.services.directory import user_states, users
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE, Origin

WRONG = Denied(Reason.WRONG)


@pytest.fixture
def alice(store: Store) -> UserRecord:
    return make_user(store)


@pytest.fixture
def app(store: Store, alice: UserRecord) -> TotpApp:
    return make_totp(store, alice)


def pending(store: Store, user: UserRecord) -> Current:
    return current_of(store, make_session(store, user, stage=Stage.SECOND_FACTOR))


def verify(store: Store, current: Current, code: str) -> NewSession | Denied:
    return second_step.verify_code(store, origin_in(current), current, code, BROWSER)


def test_a_code_completes_a_sign_in(store: Store, alice: UserRecord, app: TotpApp) -> None:
    before = make_session(store, alice, stage=Stage.SECOND_FACTOR)
    new = verify(store, current_of(store, before), app.code())
    assert isinstance(new, NewSession)
    assert new.secret != before.secret
    assert new.record.id == before.record.id
    assert new.record.methods == ("password", "totp")
    assert current_of(store, new).caller is not None
    event = events_of(store)[-1]
    assert (event.action, event.actor) == ("user.signed_in", "alice")
    assert event.data["methods"] == ["password", "totp"]


def test_a_recovery_code_does_too_and_is_told(
    store: Store, alice: UserRecord, app: TotpApp
) -> None:
    current = pending(store, alice)
    new = verify(store, current, app.recovery_codes[0])
    assert isinstance(new, NewSession)
    assert [event.action for event in events_of(store)][-2:] == [
        "recovery_code.used",
        "user.signed_in",
    ]
    assert verify(store, pending(store, alice), app.recovery_codes[0]) == WRONG


@pytest.mark.parametrize("code", ["000000", "", "aaaa-bbbb-cccc-dddd-eeee-ffff"])
def test_a_wrong_code_leaves_everything_closed(
    store: Store, alice: UserRecord, app: TotpApp, code: str
) -> None:
    new = make_session(store, alice, stage=Stage.SECOND_FACTOR)
    assert verify(store, current_of(store, new), code) == WRONG
    assert current_of(store, new).caller is None


def test_a_wrong_code_is_in_the_log_without_the_code(
    store: Store, alice: UserRecord, app: TotpApp, caplog: pytest.LogCaptureFixture
) -> None:
    assert verify(store, pending(store, alice), "123321") == WRONG
    [line] = [record.__dict__ for record in caplog.records if record.name == "tokensrv.account"]
    assert (line["message"], line["reason"]) == ("second_factor.denied", "wrong")
    assert line["user_id"] == alice.id
    assert "123321" not in str(line)


def test_a_code_counts_once_over_all_sessions(
    store: Store, alice: UserRecord, app: TotpApp
) -> None:
    waiting = [pending(store, alice) for _ in range(4)]
    code = app.code()
    done = at_once([lambda current=current: verify(store, current, code) for current in waiting])
    assert sum(isinstance(new, NewSession) for new in done) == 1
    assert done.count(WRONG) == 3


def test_a_second_factor_is_proven_anew(
    store: Store, clock: ManualClock, alice: UserRecord, app: TotpApp
) -> None:
    new = make_session(store, alice)
    clock.advance(seconds=7200)
    proven = verify(store, current_of(store, new), app.code())
    assert isinstance(proven, NewSession)
    assert proven.record.methods == ("password", "totp")
    # It is not the password, which is asked for as well.
    assert proven.record.authenticated_at == new.record.authenticated_at


def test_codes_cannot_be_guessed(store: Store, alice: UserRecord, app: TotpApp) -> None:
    store.settings = replace(store.settings, throttle=True)
    current = pending(store, alice)
    for number in range(10):
        assert verify(store, current, f"{number:06}") == WRONG
    refused = verify(store, current, app.code())
    assert isinstance(refused, Denied)
    assert refused.reason is Reason.TOO_MANY
    assert refused.retry_after_seconds > 0
    # A code that nobody looked at is not used up.
    store.settings = replace(store.settings, throttle=False)
    assert isinstance(verify(store, current, app.code()), NewSession)


def test_a_step_that_comes_later_takes_no_code(
    store: Store, alice: UserRecord, app: TotpApp
) -> None:
    current = current_of(store, make_session(store, alice, stage=Stage.PASSWORD))
    with pytest.raises(NotFound):
        verify(store, current, app.code())


def test_who_was_blocked_meanwhile_does_not_get_in(
    store: Store, alice: UserRecord, app: TotpApp
) -> None:
    current = pending(store, alice)
    user_states.block(store, COMMAND_LINE, alice.id)
    with pytest.raises(NotFound):
        verify(store, current, app.code())


def test_an_admin_removes_what_a_user_has_lost(
    store: Store, alice: UserRecord, app: TotpApp
) -> None:
    waiting = pending(store, alice)
    root = current_of(store, make_session(store, make_admin(store)))
    assert second_factors.remove_all(store, origin_in(root), alice.id)
    assert not second_factors.get(store, alice.id).has_any
    event = events_of(store)[-1]
    assert (event.action, event.actor) == ("second_factor.reset", "root")
    assert not second_factors.remove_all(store, origin_in(root), alice.id)
    with pytest.raises(NotFound):
        verify(store, waiting, app.recovery_codes[0])


def test_only_an_admin_removes_them(store: Store, alice: UserRecord, app: TotpApp) -> None:
    current = current_of(store, make_session(store, alice))
    with pytest.raises(Forbidden):
        second_factors.remove_all(store, origin_in(current), alice.id)
    root = current_of(store, make_session(store, make_admin(store)))
    with pytest.raises(NotFound):
        second_factors.remove_all(store, origin_in(root), alice.id + 1000)


def test_second_factors_go_with_their_user(store: Store, alice: UserRecord, app: TotpApp) -> None:
    make_admin(store)
    users.delete(store, COMMAND_LINE, alice.id)
    assert second_factors.get(store, alice.id) == second_factors.SecondFactors(False, 0, 0)


def acting(store: Store, alice: UserRecord) -> tuple[Current, Origin]:
    """Return the session of an admin who acts as the user, and the origin of his requests."""
    root = current_of(store, make_session(store, make_admin(store)))
    assert root.caller is not None
    caller = Caller(
        root.caller.actor,
        current_of(store, make_session(store, alice)).caller.subject,
        None,
        (),
        is_sudo=True,
        reason="support",
    )
    return replace(root, caller=caller), Origin(caller)


def test_nobody_changes_them_while_acting_as_somebody_else(
    store: Store, alice: UserRecord, app: TotpApp
) -> None:
    current, origin = acting(store, alice)
    for verb in (totp.begin, totp.remove, recovery_codes.regenerate):
        with pytest.raises(Forbidden):
            verb(store, origin, current)
    with pytest.raises(Forbidden):
        second_step.verify_code(store, origin, current, app.code(), BROWSER)
    with pytest.raises(Forbidden):
        second_factors.remove_all(store, origin, alice.id)
