"""With which token a connection began, and for how long that counts."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from tests.conftest import ManualClock
from tests.factories import make_token, make_user
from tests.services.conftest import at_once
from tokensrv.db import Store
from tokensrv.domain.secret import digest
from tokensrv.models import SshLogin
from tokensrv.services.directory import users
from tokensrv.services.gates.ssh import logins
from tokensrv.services.records import NewToken, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

DAY = 86_400
ONE, OTHER = b"1" * 32, b"2" * 32


@pytest.fixture
def alice(store: Store) -> UserRecord:
    return make_user(store)


@pytest.fixture
def token(store: Store, alice: UserRecord) -> NewToken:
    return make_token(store, alice)


def test_a_connection_leads_to_its_own_token(
    store: Store, alice: UserRecord, token: NewToken
) -> None:
    second = make_token(store, alice)
    logins.remember(store, ONE, token.record.id)
    assert logins.find_digest(store, OTHER) is None
    logins.remember(store, OTHER, second.record.id)
    assert logins.find_digest(store, ONE) == digest(token.secret)
    assert logins.find_digest(store, OTHER) == digest(second.secret)


def test_the_last_token_of_a_connection_counts(
    store: Store, alice: UserRecord, token: NewToken
) -> None:
    second = make_token(store, alice)
    logins.remember(store, ONE, token.record.id)
    logins.remember(store, ONE, second.record.id)
    assert logins.find_digest(store, ONE) == digest(second.secret)


def test_a_login_is_good_for_a_day_and_then_it_is_swept(
    store: Store, clock: ManualClock, token: NewToken
) -> None:
    logins.remember(store, ONE, token.record.id)
    clock.advance(seconds=DAY - 1)
    logins.remember(store, OTHER, token.record.id)
    assert logins.find_digest(store, ONE) is not None
    clock.advance(seconds=1)
    assert logins.find_digest(store, ONE) is None
    logins.remember(store, b"3" * 32, token.record.id)
    with store.read() as session:
        left = session.scalars(select(SshLogin.connection).order_by(SshLogin.connection)).all()
    assert left == [OTHER, b"3" * 32]


def test_many_logins_at_once_sweep_without_waiting_for_each_other(
    store: Store, clock: ManualClock, token: NewToken
) -> None:
    for number in range(30):
        logins.remember(store, bytes([number]) * 32, token.record.id)
    clock.advance(seconds=DAY)
    verbs = [
        lambda number=number: logins.remember(store, bytes([number]) * 32, token.record.id)
        for number in range(100, 108)
    ]
    assert at_once(verbs) == [None] * 8
    with store.read() as session:
        assert session.scalar(select(func.count()).select_from(SshLogin)) == 8


def test_what_a_deleted_user_began_is_gone(
    store: Store, alice: UserRecord, token: NewToken
) -> None:
    logins.remember(store, ONE, token.record.id)
    users.delete(store, COMMAND_LINE, alice.id)
    assert logins.find_digest(store, ONE) is None
