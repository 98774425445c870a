from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import func, select

from tests.conftest import ManualClock
from tests.factories import BROWSER, make_session, make_user
from tests.services.conftest import at_once, contents, failing
from tokensrv.db import Store
from tokensrv.errors import StorageUnavailable
from tokensrv.models import Attempt
from tokensrv.services.account import sessions, throttle
from tokensrv.services.account.recognition import find
from tokensrv.services.account.sessions import Browser, Stage
from tokensrv.services.account.throttle import CODE, CODES, NETWORK, PASSWORD, Budget, TooMany

HERE, ELSEWHERE = "192.0.2.7", "198.51.100.9"
QUARTER = 15 * 60


def password(name: str = "alice", ip: str | None = HERE) -> tuple[Budget, ...]:
    return throttle.for_password(throttle.account_of(name), ip)


def spend(store: Store, budgets: Sequence[Budget], times: int) -> None:
    for _ in range(times):
        assert throttle.take(store, budgets) is None


def forgive(store: Store, budgets: Sequence[Budget]) -> None:
    with store.write() as session:
        throttle.forgive(session, budgets)


def rows(store: Store) -> int:
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(Attempt)) or 0


def test_an_account_is_closed_to_a_network_for_a_while(
    throttled: Store, clock: ManualClock
) -> None:
    spend(throttled, password(), PASSWORD.count)
    clock.advance(seconds=60)
    assert throttle.take(throttled, password()) == TooMany(QUARTER - 60)
    clock.advance(seconds=QUARTER - 60 - 0.001)
    assert throttle.take(throttled, password()) == TooMany(1)
    clock.advance(seconds=0.001)
    spend(throttled, password(), PASSWORD.count)
    assert throttle.take(throttled, password()) == TooMany(QUARTER)


@pytest.mark.parametrize(
    ("name", "ip"),
    [
        pytest.param("alice", ELSEWHERE, id="the owner elsewhere"),
        pytest.param("alice", None, id="the owner on the machine itself"),
        pytest.param("bob", HERE, id="somebody else there"),
    ],
)
def test_nobody_is_locked_out_by_the_failures_of_another(
    throttled: Store, name: str, ip: str | None
) -> None:
    spend(throttled, password(), PASSWORD.count)
    assert throttle.take(throttled, password(name, ip)) is None


def test_a_network_has_its_own_budget_for_all_accounts(throttled: Store) -> None:
    for number in range(NETWORK.count):
        assert throttle.take(throttled, password(f"user{number}")) is None
    assert throttle.take(throttled, password("carol")) == TooMany(QUARTER)
    assert throttle.take(throttled, password("carol", ELSEWHERE)) is None


def test_a_refused_attempt_writes_nothing(throttled: Store) -> None:
    spend(throttled, password(), PASSWORD.count)
    before = contents(throttled)
    assert throttle.take(throttled, password()) is not None
    with failing(throttled, "INSERT"):
        assert throttle.take(throttled, password()) is not None
    assert contents(throttled) == before


def test_a_success_clears_the_account_there_and_gives_the_network_its_attempt_back(
    throttled: Store,
) -> None:
    for _ in range(NETWORK.count + 1):
        assert throttle.take(throttled, password()) is None
        forgive(throttled, password())
    # An attacker's own account does not wash away what he did to others.
    spend(throttled, password("bob"), PASSWORD.count)
    assert throttle.take(throttled, password()) is None
    forgive(throttled, password())
    assert throttle.take(throttled, password("bob")) is not None


def test_attempts_at_once_are_all_counted(throttled: Store) -> None:
    spend(throttled, password(), PASSWORD.count - 2)
    answers = at_once([lambda: throttle.take(throttled, password())] * 6)
    assert answers.count(None) == 2
    assert answers.count(TooMany(QUARTER)) == 4


def test_codes_have_a_total_that_leaves_out_where_the_account_is_signed_in(
    throttled: Store, clock: ManualClock
) -> None:
    alice = make_user(throttled)
    make_session(throttled, alice)
    make_session(throttled, alice, stage=Stage.SECOND_FACTOR, browser=BROWSER)
    for number in range(CODES.count):
        budgets = throttle.for_code(throttled, alice.id, f"198.51.100.{number}")
        assert throttle.take(throttled, budgets) is None
    spent = throttle.take(throttled, throttle.for_code(throttled, alice.id, "203.0.113.1"))
    assert spent == TooMany(24 * 3600)
    home = throttle.for_code(throttled, alice.id, BROWSER.ip)
    spend(throttled, home, CODE.count)
    assert throttle.take(throttled, home) == TooMany(QUARTER)
    with throttled.write() as session:
        throttle.forget_codes(session, alice.id)
    again = throttle.for_code(throttled, alice.id, "203.0.113.1")
    assert throttle.take(throttled, again) is None


def test_a_session_that_is_not_complete_is_no_home(throttled: Store) -> None:
    alice = make_user(throttled)
    make_session(throttled, alice, stage=Stage.SECOND_FACTOR)
    limits = [budget.limit for budget in throttle.for_code(throttled, alice.id, BROWSER.ip)]
    assert limits == [CODE, CODES]


def test_whoever_uses_a_session_elsewhere_is_not_at_home_there(
    throttled: Store, clock: ManualClock
) -> None:
    alice = make_user(throttled)
    new = make_session(throttled, alice)
    clock.advance(seconds=120)
    assert find(throttled, new.secret, Browser("203.0.113.1", "stolen")) is not None
    [seen] = sessions.list_of(throttled, alice.id)
    assert (seen.ip, seen.opened_ip) == ("203.0.113.1", BROWSER.ip)
    limits = [budget.limit for budget in throttle.for_code(throttled, alice.id, "203.0.113.1")]
    assert limits == [CODE, CODES]


def test_counts_that_are_over_are_removed_some_at_a_time(
    throttled: Store, clock: ManualClock
) -> None:
    for number in range(30):
        throttle.take(throttled, password(f"user{number}", f"198.51.100.{number}"))
    clock.advance(seconds=QUARTER)
    throttle.take(throttled, password())
    assert rows(throttled) == 60 - 20 + 2
    for _ in range(3):
        throttle.take(throttled, password())
    assert rows(throttled) == 2


def test_what_cannot_be_counted_is_not_tried(throttled: Store) -> None:
    with failing(throttled, "INSERT"), pytest.raises(StorageUnavailable):
        throttle.take(throttled, password())


def test_the_setting_switches_it_off(store: Store) -> None:
    spend(store, password(), PASSWORD.count + NETWORK.count)
    assert rows(store) == 0


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        pytest.param("192.0.2.7", "192.0.2.7", id="IPv4"),
        pytest.param("::ffff:192.0.2.7", "192.0.2.7", id="IPv4 within IPv6"),
        pytest.param("2001:db8:1:2:3::4", "2001:db8:1:2::/64", id="IPv6"),
        pytest.param("2001:db8:1:2:ffff::", "2001:db8:1:2::/64", id="its neighbour"),
        pytest.param("::1", "::/64", id="loopback"),
        pytest.param(None, "", id="a Unix socket"),
        pytest.param("unix:", "unix:", id="no address"),
    ],
)
def test_a_network_is_what_one_person_has(ip: str | None, network: str) -> None:
    assert throttle.network(ip) == network


def test_the_table_tells_neither_whom_nor_where(throttled: Store) -> None:
    throttle.take(throttled, password("alice\ud800"))
    keys = [row[0] for row in contents(throttled)["attempt"]]
    assert [len(key) for key in keys] == [32, 32]
    assert not any(b"alice" in key or HERE.encode() in key for key in keys)
