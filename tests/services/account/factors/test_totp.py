from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from tests.conftest import ManualClock
from tests.factories import current_of, make_session, make_user, origin_in
from tests.services.conftest import at_once, events_of
from tokensrv.db import Store
from tokensrv.errors import Forbidden, Invalid, KeyUnavailable, NotFound
from tokensrv.models import Totp
from tokensrv.services.account import second_factors
from tokensrv.services.account.factors import totp
from tokensrv.services.account.factors.totp import TotpSetup
from tokensrv.services.account.sessions import Current


@pytest.fixture
def alice(store: Store) -> Current:
    return current_of(store, make_session(store, make_user(store)))


def code_of(setup: TotpSetup, clock: ManualClock, *, steps: int = 0) -> str:
    return pyotp.TOTP(setup.secret).at(clock.now_ms() // 1000, counter_offset=steps)


def begun(store: Store, alice: Current) -> TotpSetup:
    return totp.begin(store, origin_in(alice), alice)


def confirmed(store: Store, clock: ManualClock, alice: Current) -> TotpSetup:
    """Give an app to the user, and let the code that he confirmed it with grow old."""
    setup = begun(store, alice)
    totp.confirm(store, origin_in(alice), alice, code_of(setup, clock))
    clock.advance(seconds=90)
    return setup


def take(store: Store, alice: Current, code: str) -> bool:
    with store.write() as session:
        return totp.take(session, store, alice.user.id, code)


def test_an_app_is_told_its_secret_and_whose_it_is(store: Store, alice: Current) -> None:
    setup = begun(store, alice)
    address = urlsplit(setup.uri)
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert address.path == "/tokensrv:alice%40127.0.0.1"
    assert parse_qs(address.query)["secret"] == [setup.secret]
    assert len(setup.secret) * 5 >= 160  # RFC 4226 §4 recommends so many bits.


def test_an_app_counts_once_a_code_of_it_was_shown(
    store: Store, clock: ManualClock, alice: Current
) -> None:
    setup = begun(store, alice)
    assert not second_factors.get(store, alice.user.id).has_any
    assert totp.pending(store, alice) == setup
    changed = totp.confirm(store, origin_in(alice), alice, code_of(setup, clock))
    assert len(changed.recovery_codes) == 10
    assert second_factors.get(store, alice.user.id).has_totp
    assert totp.pending(store, alice) is None
    actions = [event.action for event in events_of(store)]
    assert actions[-2:] == ["totp.added", "recovery_codes.made"]


def test_a_wrong_code_confirms_nothing(store: Store, clock: ManualClock, alice: Current) -> None:
    setup = begun(store, alice)
    wrong = f"{(int(code_of(setup, clock)) + 1) % 1_000_000:06}"
    with pytest.raises(Invalid, match="code"):
        totp.confirm(store, origin_in(alice), alice, wrong)
    assert not second_factors.get(store, alice.user.id).has_any
    assert not take(store, alice, code_of(setup, clock))


def test_the_session_has_another_cookie_afterwards(
    store: Store, clock: ManualClock, alice: Current
) -> None:
    before = make_session(store, alice.user)
    current = current_of(store, before)
    changed = totp.confirm(
        store, origin_in(current), current, code_of(begun(store, current), clock)
    )
    assert changed.session.record.id == before.record.id
    assert changed.session.secret != before.secret
    assert current_of(store, changed.session).user == alice.user
    with pytest.raises(AssertionError):
        current_of(store, before)


def test_a_second_beginning_replaces_the_first(
    store: Store, clock: ManualClock, alice: Current
) -> None:
    first, second = begun(store, alice), begun(store, alice)
    with pytest.raises(Invalid):
        totp.confirm(store, origin_in(alice), alice, code_of(first, clock))
    totp.confirm(store, origin_in(alice), alice, code_of(second, clock))


def test_an_app_in_use_is_not_replaced(store: Store, clock: ManualClock, alice: Current) -> None:
    setup = confirmed(store, clock, alice)
    with pytest.raises(Forbidden):
        begun(store, alice)
    with pytest.raises(NotFound):
        totp.confirm(store, origin_in(alice), alice, code_of(setup, clock))


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_clock_may_be_a_step_off(
    store: Store, clock: ManualClock, alice: Current, steps: int
) -> None:
    setup = confirmed(store, clock, alice)
    assert take(store, alice, code_of(setup, clock, steps=steps))


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda s, c: code_of(s, c, steps=-2), id="old"),
        pytest.param(lambda s, c: code_of(s, c, steps=2), id="of the future"),
        pytest.param(lambda s, c: code_of(s, c)[:5], id="cut"),
        pytest.param(lambda s, c: code_of(s, c) + "0", id="longer"),
        pytest.param(
            lambda s, c: code_of(s, c).translate({48 + d: 0xFF10 + d for d in range(10)}),
            id="full width",
        ),
        pytest.param(lambda s, c: "", id="empty"),
        pytest.param(lambda s, c: "\ud800", id="no text"),
    ],
)
def test_another_code_is_none(
    store: Store, clock: ManualClock, alice: Current, wrong: object
) -> None:
    setup = confirmed(store, clock, alice)
    assert callable(wrong)
    assert not take(store, alice, wrong(setup, clock))


def test_a_code_may_be_typed_with_a_blank(store: Store, clock: ManualClock, alice: Current) -> None:
    code = code_of(confirmed(store, clock, alice), clock)
    assert take(store, alice, f" {code[:3]} {code[3:]} ")


def test_no_code_counts_twice(store: Store, clock: ManualClock, alice: Current) -> None:
    setup = confirmed(store, clock, alice)
    code = code_of(setup, clock)
    assert take(store, alice, code)
    assert not take(store, alice, code)
    assert not take(store, alice, code_of(setup, clock, steps=-1))
    clock.advance(seconds=30)
    assert not take(store, alice, code)
    assert take(store, alice, code_of(setup, clock))


def test_the_code_that_confirmed_an_app_is_used_up(
    store: Store, clock: ManualClock, alice: Current
) -> None:
    setup = begun(store, alice)
    totp.confirm(store, origin_in(alice), alice, code_of(setup, clock))
    assert not take(store, alice, code_of(setup, clock))


def test_of_many_who_use_a_code_at_once_one_wins(
    store: Store, clock: ManualClock, alice: Current
) -> None:
    code = code_of(confirmed(store, clock, alice), clock)
    won = at_once([lambda: take(store, alice, code)] * 8)
    assert sorted(won) == [False] * 7 + [True]


def test_what_is_stored_does_not_tell_the_secret(
    store: Store, clock: ManualClock, alice: Current
) -> None:
    setup = confirmed(store, clock, alice)
    with store.read() as session:
        row = session.scalars(select(Totp)).one()
    assert setup.secret not in row.secret_encrypted
    assert setup.secret not in repr(setup)


def test_a_master_key_can_be_given_up_once_a_code_was_taken(
    store: Store, clock: ManualClock, alice: Current
) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    store.settings = replace(store.settings, master_key=(old,))
    setup = confirmed(store, clock, alice)
    store.settings = replace(store.settings, master_key=(new,))
    with pytest.raises(KeyUnavailable):
        take(store, alice, code_of(setup, clock))
    store.settings = replace(store.settings, master_key=(new, old))
    assert take(store, alice, code_of(setup, clock))
    clock.advance(seconds=30)
    store.settings = replace(store.settings, master_key=(new,))
    assert take(store, alice, code_of(setup, clock))


def test_an_app_is_removed_with_the_codes_of_its_user(
    store: Store, clock: ManualClock, alice: Current
) -> None:
    setup = confirmed(store, clock, alice)
    changed = totp.remove(store, origin_in(alice), alice)
    assert changed.recovery_codes == ()
    assert second_factors.get(store, alice.user.id) == second_factors.SecondFactors(False, 0, 0)
    assert not take(store, alice, code_of(setup, clock))
    assert events_of(store)[-1].action == "totp.removed"
    with pytest.raises(NotFound):
        totp.remove(store, origin_in(alice), alice)
