"""Tokens made over SSH, with the key that somebody came with gone in the meantime."""

from __future__ import annotations

import pytest

from tests.factories import caller_of, make_token, make_user
from tests.services.conftest import events_of
from tests.services.gates.conftest import visit_of
from tests.ssh_keys import make_ssh_key
from tokensrv.db import Store
from tokensrv.domain.gates import Entry, Gate
from tokensrv.domain.ssh_commands import NewTokenCommand
from tokensrv.errors import Forbidden
from tokensrv.services.directory import user_states
from tokensrv.services.gates.ssh import minting
from tokensrv.services.gates.ssh.entrance import by_key
from tokensrv.services.keys import ssh_keys
from tokensrv.services.lifecycle import minting as ordinary
from tokensrv.services.lifecycle.minting import TokenWish
from tokensrv.services.trail.events import COMMAND_LINE, Origin
from tokensrv.services.trail.usage import Usage

WISH = NewTokenCommand("ci", ("api",))


def entry_by(store: Store, usage: Usage, key_id: int) -> Entry:
    entry = by_key(store, usage, visit_of(gate=Gate.SSH), key_id)
    assert isinstance(entry, Entry)
    return entry


@pytest.mark.parametrize("gone", ["key", "owner"])
def test_what_was_good_a_moment_ago_makes_no_token(store: Store, usage: Usage, gone: str) -> None:
    alice = make_user(store)
    key = make_ssh_key(store, alice)
    entry = entry_by(store, usage, key.id)
    if gone == "key":
        ssh_keys.remove(store, COMMAND_LINE, alice.id, key.id)
    else:
        user_states.block(store, COMMAND_LINE, alice.id)
    with pytest.raises(Forbidden):
        minting.create(store, usage, visit_of(gate=Gate.SSH), entry, WISH, key_id=key.id)
    assert events_of(store, "token.created") == []
    [event] = events_of(store, "gate.refused")
    assert (event.actor, event.data["check"]) == ("alice", "wanted")


def test_a_key_that_goes_at_the_last_moment_makes_no_token(store: Store) -> None:
    alice = make_user(store)
    key = make_ssh_key(store, alice)
    origin = Origin(caller=caller_of(store, make_token(store, alice).secret))
    wish = TokenWish(name="ci", scopes=("api",))
    new = ordinary.create_for_self(store, origin, wish, key_id=key.id)
    event = events_of(store, "token.created")[-1]
    assert (event.token_id, event.data["key_id"]) == (new.record.id, key.id)
    ssh_keys.remove(store, COMMAND_LINE, alice.id, key.id)
    with pytest.raises(Forbidden):
        ordinary.create_for_self(store, origin, wish, key_id=key.id)
