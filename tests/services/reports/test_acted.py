from __future__ import annotations

from datetime import timedelta

import pytest

from tests.conftest import START, ManualClock
from tests.factories import make_exchanged, make_token, make_user, origin_of
from tokensrv.db import Store
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import NewToken, UserRecord
from tokensrv.services.reports import acted
from tokensrv.services.trail import sudo
from tokensrv.services.trail.events import COMMAND_LINE

SOON = START + timedelta(minutes=30)


@pytest.fixture
def alice(store: Store, root: UserRecord) -> UserRecord:
    return make_user(store)


@pytest.fixture
def source(store: Store, root: UserRecord) -> NewToken:
    """The token with which root acts as others."""
    return make_token(store, root, ("api", "sudo"))


def _act(store: Store, source: NewToken, path: str, username: str = "alice") -> None:
    origin = origin_of(store, source.secret, sudo=username, reason="to help")
    assert origin.caller is not None
    sudo.use(store, origin.caller, origin, method="GET", path=path)


def test_what_others_did_as_a_user_is_listed_the_latest_first(
    store: Store, alice: UserRecord, root: UserRecord, source: NewToken
) -> None:
    _act(store, source, "/one")
    # What he does himself, and what is done as somebody else, is none of it.
    own = make_token(store, alice)
    tokens.revoke(store, origin_of(store, own.secret), own.record.id)
    make_user(store, "bob")
    _act(store, source, "/of-bob", "bob")
    gone = make_token(store, alice).record
    as_alice = origin_of(store, source.secret, sudo="alice", reason="to tidy up")
    tokens.revoke(store, as_alice, gone.id)
    found, following = acted.acts(store, alice.id, limit=10)
    assert [(event.action, event.reason) for event in found] == [
        ("token.revoked", "to tidy up"),
        ("sudo.used", "to help"),
    ]
    assert {(event.actor, event.subject) for event in found} == {("root", "alice")}
    assert following is None


def test_pages_hold_everything_once(store: Store, alice: UserRecord, source: NewToken) -> None:
    for number in range(5):
        _act(store, source, f"/{number}")
    paths, before = [], None
    for expected in (2, 2, 1):
        found, before = acted.acts(store, alice.id, before=before, limit=2)
        assert len(found) == expected
        paths += [event.data["path"] for event in found]
    assert paths == ["/4", "/3", "/2", "/1", "/0"]
    assert before is None


def test_nobody_has_acted_as_a_user_at_first(store: Store, alice: UserRecord) -> None:
    assert acted.acts(store, alice.id, limit=10) == ((), None)
    assert acted.lent(store, alice.id, limit=10) == ()


def test_tokens_that_act_as_a_user_are_listed_while_they_live(
    store: Store, alice: UserRecord, source: NewToken, clock: ManualClock
) -> None:
    first = make_exchanged(store, source, alice, expires_at=SOON, reason="ticket").record
    endless = make_exchanged(store, source, alice, ("read_user",)).record
    revoked = make_exchanged(store, source, alice).record
    tokens.revoke(store, COMMAND_LINE, revoked.id)
    own = make_token(store, alice)
    make_exchanged(store, own, alice)
    make_exchanged(store, source, make_user(store, "bob"))
    found = acted.lent(store, alice.id, limit=10)
    assert [token.id for token in found] == [endless.id, first.id]
    assert (found[1].actor, found[1].client_id) == ("root", "service")
    assert (found[1].scopes, found[1].reason) == (("api",), "ticket")
    assert [token.id for token in acted.lent(store, alice.id, limit=1)] == [endless.id]
    clock.set(SOON)
    assert [token.id for token in acted.lent(store, alice.id, limit=10)] == [endless.id]
