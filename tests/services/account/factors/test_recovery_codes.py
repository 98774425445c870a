from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from tests.factories import current_of, make_session, make_user, origin_in
from tests.services.conftest import at_once, events_of
from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.errors import NotFound
from tokensrv.models import RecoveryCode, Totp
from tokensrv.services.account import second_factors
from tokensrv.services.account.factors import codes, recovery_codes
from tokensrv.services.account.second_factors import FactorsChanged
from tokensrv.services.account.sessions import Current


@pytest.fixture
def alice(store: Store) -> Current:
    """A user who has a second factor."""
    user = make_user(store)
    with store.write() as session:
        now = utcnow(store.clock)
        session.add(Totp(user_id=user.id, secret_encrypted="", created_at=now, confirmed_at=now))
    return current_of(store, make_session(store, user))


def regenerated(store: Store, alice: Current) -> FactorsChanged:
    return recovery_codes.regenerate(store, origin_in(alice), alice)


def take(store: Store, alice: Current, code: str) -> str | None:
    with store.write() as session:
        return codes.take(session, store, alice.user.id, code)


def left(store: Store, alice: Current) -> int:
    return second_factors.get(store, alice.user.id).recovery_left


def test_ten_codes_of_120_bits_are_made(store: Store, alice: Current) -> None:
    made = regenerated(store, alice).recovery_codes
    assert len(set(made)) == 10
    assert all(re.fullmatch(r"([a-z2-7]{4}-){5}[a-z2-7]{4}", code) for code in made)
    assert events_of(store)[-1].action == "recovery_codes.made"


def test_nobody_can_read_them_again(store: Store, alice: Current) -> None:
    changed = regenerated(store, alice)
    with store.read() as session:
        stored = b"".join(session.scalars(select(RecoveryCode.digest)))
    for code in changed.recovery_codes:
        assert code not in repr(changed)
        assert code.replace("-", "").encode() not in stored
        assert all(code not in repr(event) for event in events_of(store))


def test_a_code_counts_once(store: Store, alice: Current) -> None:
    first, second, *_rest = regenerated(store, alice).recovery_codes
    assert take(store, alice, first) == "recovery"
    assert take(store, alice, first) is None
    assert take(store, alice, second) == "recovery"
    assert left(store, alice) == 8


def test_a_code_may_be_typed_as_people_type(store: Store, alice: Current) -> None:
    code = regenerated(store, alice).recovery_codes[0]
    assert take(store, alice, f" {code.upper().replace('-', ' ')}\n") == "recovery"


@pytest.mark.parametrize("wrong", ["", "-", "aaaa-bbbb-cccc-dddd-eeee-ffff", "\ud800", "a" * 9999])
def test_another_code_is_none(store: Store, alice: Current, wrong: str) -> None:
    regenerated(store, alice)
    assert take(store, alice, wrong) is None
    assert left(store, alice) == 10


def test_the_code_of_somebody_else_is_none(store: Store, alice: Current) -> None:
    code = regenerated(store, alice).recovery_codes[0]
    bob = current_of(store, make_session(store, make_user(store, "bob")))
    assert take(store, bob, code) is None
    assert left(store, alice) == 10


def test_of_many_who_use_a_code_at_once_one_wins(store: Store, alice: Current) -> None:
    code = regenerated(store, alice).recovery_codes[0]
    won = at_once([lambda: take(store, alice, code)] * 8)
    assert [method for method in won if method] == ["recovery"]


def test_new_codes_end_those_before(store: Store, alice: Current) -> None:
    before = regenerated(store, alice)
    after = regenerated(store, current_of(store, before.session))
    assert take(store, alice, before.recovery_codes[0]) is None
    assert take(store, alice, after.recovery_codes[0]) == "recovery"


def test_who_has_no_second_factor_needs_no_codes(store: Store) -> None:
    bob = current_of(store, make_session(store, make_user(store, "bob")))
    with pytest.raises(NotFound):
        regenerated(store, bob)
