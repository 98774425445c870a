"""Tokens made over SSH, with the key that somebody came with gone in the meantime."""

from __future__ import annotations

import pytest

from tests.factories import make_user
from tests.services.conftest import events_of
from tests.services.gates.conftest import visit_of
from tests.ssh_keys import make_ssh_key
from tokensrv.db import Store
from tokensrv.domain.caller import Caller
from tokensrv.domain.gates import Entry, Gate
from tokensrv.domain.ssh_commands import NewTokenCommand
from tokensrv.errors import Forbidden
from tokensrv.services import ssh_keys, user_states
from tokensrv.services.events import COMMAND_LINE, Origin
from tokensrv.services.gates.ssh import minting
from tokensrv.services.gates.ssh.entrance import by_key
from tokensrv.services.usage import Usage

WISH = NewTokenCommand("ci", ("api",))


def caller_by(store: Store, usage: Usage, key_id: int) -> Caller:
    entry = by_key(store, usage, visit_of(gate=Gate.SSH), key_id)
    assert isinstance(entry, Entry)
    return entry.caller


@pytest.mark.parametrize("gone", ["key", "owner"])
def test_what_was_good_a_moment_ago_makes_no_token(store: Store, usage: Usage, gone: str) -> None:
    alice = make_user(store)
    key = make_ssh_key(store, alice)
    caller = caller_by(store, usage, key.id)
    if gone == "key":
        ssh_keys.remove(store, COMMAND_LINE, alice.id, key.id)
    else:
        user_states.block(store, COMMAND_LINE, alice.id)
    with pytest.raises(Forbidden):
        minting.create(store, Origin(via="ssh"), caller, WISH, key_id=key.id)
    assert events_of(store, "token.created") == []
