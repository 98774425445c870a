from __future__ import annotations

import pytest

from tests.conftest import START, ManualClock
from tests.databases import opened
from tests.factories import caller_of, make_user
from tests.services.conftest import at_once, contents, events_of, failing
from tokensrv import lookup
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.errors import Forbidden, StorageUnavailable
from tokensrv.services import instance
from tokensrv.services.instance import Initialised
from tokensrv.services.trail.events import COMMAND_LINE


def test_an_instance_without_users_is_empty(store: Store) -> None:
    assert instance.is_empty(store)
    instance.initialise(store, COMMAND_LINE)
    assert not instance.is_empty(store)


def test_what_is_made_works(store: Store) -> None:
    made = instance.initialise(store, COMMAND_LINE)
    caller = caller_of(store, made.token.secret)
    assert (caller.actor.username, caller.actor.is_admin) == ("root", True)
    assert caller.scopes == ("api", "sudo")
    make_user(store)
    assert caller_of(store, made.token.secret, sudo="alice").subject.username == "alice"
    client = lookup.build(store).find(client_id=made.client.record.client_id).client
    assert client is not None
    assert set(client.allow) == {"sudo", "exchange", "batch", "revoke"}
    assert (made.admin.has_password, made.admin.created_at) == (True, START)


def test_its_events_tell_all_but_the_secrets(store: Store) -> None:
    made = instance.initialise(store, COMMAND_LINE)
    rows = events_of(store)
    assert [row.action for row in rows] == [
        "instance.initialised",
        "user.created",
        "token.created",
        "client.created",
    ]
    stored = str(contents(store)) + repr(made)
    for secret in (made.password, made.token.secret, made.client.secret):
        assert secret not in stored


def test_an_instance_with_users_is_left_alone(store: Store) -> None:
    make_user(store)
    before = contents(store)
    with pytest.raises(Forbidden, match="has users already"):
        instance.initialise(store, COMMAND_LINE)
    assert contents(store) == before


def test_of_several_nodes_that_initialise_at_once_one_does(
    settings: Settings, clock: ManualClock, store: Store
) -> None:
    with opened(settings, clock) as other:
        nodes = [store, other] * 2
        results = at_once(
            [lambda node=node: instance.initialise(node, COMMAND_LINE) for node in nodes]
        )
    assert sorted(type(result) is Initialised for result in results) == [False] * 3 + [True]
    assert len(events_of(store)) == 4


def test_a_failure_in_the_middle_leaves_an_empty_instance(store: Store) -> None:
    with failing(store, "INSERT INTO client"), pytest.raises(StorageUnavailable):
        instance.initialise(store, COMMAND_LINE)
    assert instance.is_empty(store)
    assert events_of(store) == []
