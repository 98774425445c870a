"""SSH keys of a user, seen and removed by an administrator."""

from __future__ import annotations

import pytest

from tests.factories import make_user
from tests.services.conftest import contents, events_of
from tests.ssh_keys import make_ssh_key
from tests.web.conftest import Visitor
from tokensrv.db import Store
from tokensrv.services.keys import ssh_keys
from tokensrv.services.records import UserRecord


@pytest.fixture
def bob(store: Store) -> UserRecord:
    return make_user(store, "bob")


def _list(user: UserRecord) -> str:
    return f"/admin/users/{user.id}/ssh_keys"


def test_a_key_is_found_from_its_user_and_removed_behind_a_question(
    store: Store, root: Visitor, bob: UserRecord
) -> None:
    assert _list(bob) in root.text(f"/admin/users/{bob.id}")
    assert "No SSH keys" in root.text(_list(bob))
    key = make_ssh_key(store, bob, title="the lost laptop")
    path = f"{_list(bob)}/{key.id}/remove"
    text = root.text(_list(bob))
    assert "the lost laptop" in text
    assert path in text
    assert "There is no such page" in root.text(f"{_list(bob)}?page=2")
    text = root.text(path)
    assert "Remove this SSH key of bob?" in text
    assert key.fingerprint in text
    answer = root.post(path)
    assert (answer.status_code, answer.headers["Location"]) == (303, _list(bob))
    assert ssh_keys.live_keys(store, bob.id) == ()
    [event] = events_of(store, "ssh_key.removed")
    assert (event.actor, event.data["user_id"]) == ("root", bob.id)


def test_a_key_is_found_below_its_own_user_only(
    store: Store, root: Visitor, bob: UserRecord
) -> None:
    key = make_ssh_key(store, bob)
    carla = make_user(store, "carla")
    before = contents(store)
    for user_id in (carla.id, 999):
        path = f"/admin/users/{user_id}/ssh_keys/{key.id}/remove"
        assert root.get(path).status_code == 404
        assert root.post(path).status_code == 404
    assert contents(store) == before
