from __future__ import annotations

import pytest

from tests.factories import make_admin, make_totp, make_user
from tests.services.gates.conftest import ELSEWHERE, Porch
from tokensrv.domain.caller import Check
from tokensrv.domain.gates import Entry, Gate, NoEntry, Obstacle
from tokensrv.services.account.throttle import PASSWORD as LIMIT
from tokensrv.services.directory import user_states, users
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

pytestmark = pytest.mark.usefixtures("cheap_hashes")

PASSWORD = "correct horse battery"


def with_password(porch: Porch, user: UserRecord, *, is_expired: bool = False) -> UserRecord:
    users.set_password(porch.store, COMMAND_LINE, user.id, PASSWORD, is_expired=is_expired)
    return user


@pytest.fixture
def alice(porch: Porch) -> UserRecord:
    return with_password(porch, make_user(porch.store))


def refused(found: Entry | NoEntry) -> NoEntry:
    assert isinstance(found, NoEntry)
    return found


@pytest.mark.parametrize("login", ["alice", "ALICE", "alice@example.org"])
def test_the_password_of_an_account_holds_what_api_holds(
    porch: Porch, alice: UserRecord, login: str
) -> None:
    found = porch.sign_in(login, PASSWORD, scopes=("write_repository",))
    assert isinstance(found, Entry)
    caller = found.caller
    assert (caller.subject.id, caller.token, caller.scopes) == (alice.id, None, ("api",))
    # Whoever comes next in the way decides, and counts.
    assert (porch.counted("entered", Gate.GIT), porch.events()) == (0, [])


@pytest.mark.parametrize(
    ("login", "password"),
    [
        pytest.param("alice", "wrong", id="wrong"),
        pytest.param("alice", PASSWORD.upper(), id="in other letters"),
        pytest.param("nobody", PASSWORD, id="of nobody"),
        pytest.param("al\0ice", PASSWORD, id="of a name that nobody can have"),
    ],
)
def test_another_password_does_not_enter(
    porch: Porch, alice: UserRecord, login: str, password: str
) -> None:
    found = refused(porch.sign_in(login, password))
    assert (found.check, found.is_forbidden) == (Obstacle.PASSWORD, False)
    [event] = porch.events()
    assert (event.action, event.data["check"]) == ("gate.refused", "password")
    # Whoever types a password where a name belongs finds neither in the log.
    assert (event.actor, event.data.keys()) == (None, {"gate", "check", "method", "path"})


def test_with_a_second_factor_it_takes_a_token(porch: Porch, alice: UserRecord) -> None:
    make_totp(porch.store, alice)
    found = refused(porch.sign_in("alice", PASSWORD))
    assert (found.check, found.is_forbidden) == (Obstacle.SECOND_FACTOR, False)
    [event] = porch.events()
    assert (event.actor, event.data["check"]) == ("alice", "second_factor")


def test_a_password_that_must_be_changed_does_not_enter(porch: Porch) -> None:
    with_password(porch, make_user(porch.store), is_expired=True)
    assert refused(porch.sign_in("alice", PASSWORD)).check is Obstacle.PASSWORD_EXPIRED


@pytest.mark.parametrize(
    "verb", [user_states.block, user_states.ban, user_states.deactivate], ids=lambda f: f.__name__
)
def test_who_is_not_active_does_not_enter_whatever_else_he_needs(
    porch: Porch, alice: UserRecord, verb: object
) -> None:
    make_totp(porch.store, alice)
    verb(porch.store, COMMAND_LINE, alice.id)  # type: ignore[operator]  # each takes these
    found = refused(porch.sign_in("alice", PASSWORD))
    assert (found.check, found.is_forbidden) == (Check.OWNER, False)


@pytest.mark.parametrize(("who", "check"), [("alice", Check.ADMIN), ("root", Check.CREDENTIAL)])
def test_with_a_password_nobody_acts_as_somebody_else(
    porch: Porch, alice: UserRecord, who: str, check: Check
) -> None:
    with_password(porch, make_admin(porch.store))
    found = refused(porch.sign_in(who, PASSWORD, sudo="alice"))
    assert (found.check, found.is_sudo, found.is_forbidden) == (check, True, True)
    [event] = porch.events()
    assert (event.action, event.actor, event.data["check"]) == ("sudo.refused", who, check.value)


def test_a_sudo_that_cannot_be_read_is_refused_and_recorded(
    porch: Porch, alice: UserRecord
) -> None:
    found = refused(porch.sign_in("alice", PASSWORD, sudo=""))
    assert (found.check, found.is_forbidden) == (Check.SUDO, True)
    assert [event.action for event in porch.events()] == ["gate.refused"]


def test_too_many_wrong_ones_close_the_account_to_a_network_but_not_to_its_owner(
    throttled: Porch,
) -> None:
    with_password(throttled, make_user(throttled.store))
    for _ in range(LIMIT.count):
        assert refused(throttled.sign_in("alice", "wrong")).check is Obstacle.PASSWORD
    found = refused(throttled.sign_in("alice", PASSWORD))
    assert (found.check, found.is_forbidden) == (Obstacle.TOO_MANY, True)
    assert found.retry_after_seconds == 15 * 60
    assert isinstance(throttled.sign_in("alice", PASSWORD, ip=ELSEWHERE), Entry)
    checks = [event.data["check"] for event in throttled.events()]
    assert checks == ["password", "too_many"]


def test_a_right_one_makes_good_the_wrong_ones_before_it(throttled: Porch) -> None:
    with_password(throttled, make_user(throttled.store))
    for _ in range(2):
        for _ in range(LIMIT.count - 1):
            assert refused(throttled.sign_in("alice", "wrong")).check is Obstacle.PASSWORD
        assert isinstance(throttled.sign_in("alice", PASSWORD), Entry)
