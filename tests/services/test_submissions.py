from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import func, select

from tests.conftest import ManualClock
from tests.factories import current_of, make_session, make_user
from tests.services.conftest import at_once, events_of
from tokensrv.db import Store
from tokensrv.errors import Invalid, SentTwice
from tokensrv.models import Submission, Token
from tokensrv.services import submissions
from tokensrv.services.lifecycle.minting import TokenWish, create_for_self
from tokensrv.services.records import NewToken, UserRecord
from tokensrv.services.trail.events import Origin

WISH = TokenWish(name="laptop", scopes=("api",))
Send = Callable[..., NewToken]


def _sender(store: Store, user: UserRecord) -> Send:
    caller = current_of(store, make_session(store, user)).caller
    return partial(create_for_self, store, Origin(caller))


@pytest.fixture
def send(store: Store) -> Send:
    """Send alice's form for a new token."""
    return _sender(store, make_user(store))


def _count(store: Store, table: type[Submission | Token]) -> int | None:
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(table))


def test_a_form_that_is_sent_twice_makes_one_token(store: Store, send: Send) -> None:
    made = send(WISH, submission="one").record
    with pytest.raises(SentTwice):
        send(WISH, submission="one")
    assert [event.token_id for event in events_of(store, "token.created")] == [made.id]


def test_forms_that_are_sent_at_the_same_time_make_one_token(store: Store, send: Send) -> None:
    outcomes = at_once([partial(send, WISH, submission="one")] * 4)
    assert sum(isinstance(outcome, NewToken) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, SentTwice) for outcome in outcomes) == 3
    assert _count(store, Token) == 1


def test_another_form_another_user_and_no_form_at_all_make_another_one(
    store: Store, send: Send
) -> None:
    send(WISH, submission="one")
    send(WISH, submission="two")
    send(WISH)
    send(WISH)
    _sender(store, make_user(store, "bob"))(WISH, submission="one")
    assert _count(store, Token) == 5


def test_a_form_that_was_refused_can_be_mended_and_sent_again(store: Store, send: Send) -> None:
    with pytest.raises(Invalid):
        send(TokenWish(name="laptop", scopes=()), submission="one")
    assert send(WISH, submission="one").record.name == "laptop"


def test_forms_are_forgotten_after_a_day(store: Store, send: Send, clock: ManualClock) -> None:
    for number in range(3):
        send(WISH, submission=f"{number}")
    clock.advance(seconds=timedelta(days=1).total_seconds() - 0.001)
    send(WISH, submission="3")
    assert _count(store, Submission) == 4
    clock.advance(seconds=0.001)
    send(WISH, submission="4")
    assert _count(store, Submission) == 2


def test_no_two_forms_are_the_same() -> None:
    assert len({submissions.new() for _ in range(100)}) == 100
