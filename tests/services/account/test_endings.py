from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.factories import BROWSER, current_of, make_admin, make_session, make_user, origin_in
from tests.services.conftest import contents, events_of
from tokensrv.db import Store
from tokensrv.errors import Forbidden, NotFound
from tokensrv.services.account import endings, recognition, sessions
from tokensrv.services.account.sessions import Stage
from tokensrv.services.directory import user_states
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE, Origin


def _as_admin(store: Store, root: UserRecord) -> Origin:
    return origin_in(current_of(store, make_session(store, root)))


def test_an_admin_ends_every_session_of_a_user(store: Store, root: UserRecord) -> None:
    alice, origin = make_user(store), _as_admin(store, root)
    his = [make_session(store, alice), make_session(store, alice, stage=Stage.SECOND_FACTOR)]
    assert endings.end_every(store, origin, alice.id)
    assert [recognition.find(store, one.secret, BROWSER) for one in his] == [None, None]
    assert [session.user_id for session in sessions.list_of(store, root.id)] == [root.id]
    [event] = events_of(store, "session.ended")
    assert (event.actor, event.data) == ("root", {"user_id": alice.id, "username": "alice"})


def test_where_there_is_no_session_nothing_is_recorded(store: Store, root: UserRecord) -> None:
    alice, origin = make_user(store), _as_admin(store, root)
    before = contents(store)
    assert not endings.end_every(store, origin, alice.id)
    assert contents(store) == before


def test_only_admins_end_those_of_others(store: Store, root: UserRecord) -> None:
    alice = make_user(store)
    origin = origin_in(current_of(store, make_session(store, alice)))
    make_session(store, root)
    before = contents(store)
    with pytest.raises(Forbidden):
        endings.end_every(store, origin, root.id)
    with pytest.raises(NotFound):
        endings.end_every(store, COMMAND_LINE, 10**17)
    assert contents(store) == before


@pytest.mark.parametrize(
    "verb", [user_states.block, user_states.deactivate, user_states.ban], ids=lambda it: it.__name__
)
def test_whoever_is_switched_off_has_no_session_when_he_comes_back(
    store: Store, verb: Callable[..., bool]
) -> None:
    make_admin(store)
    alice = make_user(store)
    session = make_session(store, alice)
    verb(store, COMMAND_LINE, alice.id)
    assert contents(store)["web_session"] == []
    assert recognition.find(store, session.secret, BROWSER) is None


def test_signing_out_ends_this_session_alone(store: Store) -> None:
    alice = make_user(store)
    one, other = make_session(store, alice), make_session(store, alice)
    current = current_of(store, one)
    endings.sign_out(store, origin_in(current), current)
    assert recognition.find(store, one.secret, BROWSER) is None
    assert recognition.find(store, other.secret, BROWSER) is not None
