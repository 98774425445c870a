"""The database is locked, away or full: every verb says so, guesses nothing, changes nothing."""

from __future__ import annotations

import dataclasses
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from tests.conftest import ManualClock
from tests.databases import connect, opened
from tests.factories import (
    caller_of,
    make_admin,
    make_client,
    make_token,
    make_user,
    origin_of,
)
from tests.services.conftest import contents, events_of, failing
from tokensrv import lookup
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.db.sqlite import driver
from tokensrv.domain.caller import Caller
from tokensrv.domain.secret import digest
from tokensrv.errors import StorageUnavailable
from tokensrv.services import instance
from tokensrv.services.directory import clients, user_states, users
from tokensrv.services.directory.user_lists import UserFilter, list_users
from tokensrv.services.lifecycle import minting, rotation, tokens
from tokensrv.services.lifecycle.minting import TokenWish
from tokensrv.services.lifecycle.token_lists import TokenFilter, list_tokens
from tokensrv.services.records import NewToken, UserRecord
from tokensrv.services.reports.event_lists import EventFilter, list_events
from tokensrv.services.trail import sudo
from tokensrv.services.trail.events import COMMAND_LINE

TIMEOUT_SECONDS = 0.3


@pytest.fixture
def store(settings: Settings, clock: ManualClock) -> Iterator[Store]:
    impatient = dataclasses.replace(settings, storage_timeout_seconds=TIMEOUT_SECONDS)
    with opened(impatient, clock) as store:
        yield store


@dataclasses.dataclass(frozen=True)
class World:
    """An instance with somebody and something for every verb."""

    store: Store
    alice: UserRecord
    token: NewToken
    client_id: str
    sudo: Caller


@pytest.fixture
def world(store: Store) -> World:
    root, alice = make_admin(store), make_user(store)
    client_id = make_client(store).record.client_id
    caller = caller_of(store, make_token(store, root, ("api", "sudo")).secret, sudo="alice")
    return World(store, alice, make_token(store, alice), client_id, caller)


WRITES: dict[str, Callable[[World], object]] = {
    "create for a user": lambda w: make_token(w.store, w.alice),
    "rotate": lambda w: rotation.rotate(w.store, COMMAND_LINE, w.token.record.id),
    "change": lambda w: tokens.change(
        w.store, COMMAND_LINE, w.token.record.id, tokens.TokenChanges(name="new")
    ),
    "revoke": lambda w: tokens.revoke(w.store, COMMAND_LINE, w.token.record.id),
    "create a user": lambda w: make_user(w.store, "carol"),
    "change a user": lambda w: users.change(
        w.store, COMMAND_LINE, w.alice.id, users.UserChanges(name="new", is_admin=True)
    ),
    "block": lambda w: user_states.block(w.store, COMMAND_LINE, w.alice.id),
    "promote": lambda w: user_states.promote(w.store, COMMAND_LINE, w.alice.id),
    "delete": lambda w: users.delete(w.store, COMMAND_LINE, w.alice.id),
    "create a client": lambda w: make_client(w.store, "other"),
    "disable a client": lambda w: clients.disable(w.store, COMMAND_LINE, w.client_id),
    "sudo": lambda w: sudo.use(w.store, w.sudo, COMMAND_LINE, method="GET", path="/"),
}
READS: dict[str, Callable[[World], object]] = {
    "look up": lambda w: lookup.build(w.store).find(digest=digest(w.token.secret)),
    "get": lambda w: tokens.get(w.store, None, w.token.record.id),
    "get a user": lambda w: users.get(w.store, w.alice.id),
    "list": lambda w: list_tokens(w.store, None, TokenFilter()),
    "list users": lambda w: list_users(w.store, UserFilter()),
    "list clients": lambda w: clients.list_clients(w.store),
    "list events": lambda w: list_events(w.store, EventFilter()),
    "is empty": lambda w: instance.is_empty(w.store),
}
EVERY_WRITE = pytest.mark.parametrize("write", list(WRITES))
EVERY_READ = pytest.mark.parametrize("read", list(READS))


@contextmanager
def _locked(store: Store) -> Iterator[None]:
    """Somebody else holds all that is written, and does not come back."""
    path = store.settings.sqlite_path
    if path is not None:
        with closing(driver.connect(str(path), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
        return
    with connect(store.settings.database_url) as other, other.transaction():
        other.execute('LOCK TABLE "user", token, client, event_head IN EXCLUSIVE MODE')
        yield


@contextmanager
def _away(store: Store) -> Iterator[None]:
    """The server takes no connections, and has cut those that there were."""
    name = conninfo_to_dict(store.settings.database_url.replace("+psycopg", "", 1))["dbname"]
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format
    with connect(store.settings.database_url, dbname="postgres") as administrator:
        administrator.execute(allow(sql.Identifier(name), sql.SQL("false")))
        administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        try:
            yield
        finally:
            administrator.execute(allow(sql.Identifier(name), sql.SQL("true")))


@contextmanager
def _full(store: Store) -> Iterator[None]:
    """No event can be written any more."""
    with failing(store, "INSERT INTO event "):
        yield


def _refuses_and_recovers(
    world: World, fault: AbstractContextManager[None], verb: Callable[[World], object]
) -> None:
    before = contents(world.store)
    begin = time.monotonic()
    with fault:
        with pytest.raises(StorageUnavailable):
            verb(world)
        assert time.monotonic() - begin < 10 * TIMEOUT_SECONDS
    assert contents(world.store) == before
    verb(world)


@EVERY_WRITE
def test_a_locked_database_refuses_every_write_in_time(world: World, write: str) -> None:
    _refuses_and_recovers(world, _locked(world.store), WRITES[write])


@EVERY_WRITE
def test_a_full_log_refuses_every_write(world: World, write: str) -> None:
    _refuses_and_recovers(world, _full(world.store), WRITES[write])


@EVERY_READ
def test_a_locked_database_is_read_all_the_same(world: World, read: str) -> None:
    with _locked(world.store):
        READS[read](world)


@pytest.mark.postgres
@EVERY_WRITE
def test_a_server_that_is_away_refuses_every_write(world: World, write: str) -> None:
    _refuses_and_recovers(world, _away(world.store), WRITES[write])


@pytest.mark.postgres
@EVERY_READ
def test_a_server_that_is_away_is_no_answer(world: World, read: str) -> None:
    with _away(world.store):
        for _ in range(3):
            with pytest.raises(StorageUnavailable):
                READS[read](world)
    READS[read](world)


@pytest.mark.sqlite
@EVERY_READ
def test_a_damaged_file_is_no_answer(
    settings: Settings, clock: ManualClock, world: World, read: str
) -> None:
    world.store.close()
    path = world.store.settings.sqlite_path
    assert path is not None
    for name in (path, path.with_name(path.name + "-wal")):
        if name.exists():
            name.write_bytes(b"damaged" * 1000)
    with opened(settings, clock) as store, pytest.raises(StorageUnavailable):
        READS[read](dataclasses.replace(world, store=store))


@contextmanager
def _full_disk(store: Store) -> Iterator[None]:
    """Let no file of this process grow beyond what the database's log has now."""
    path = store.settings.sqlite_path
    assert path is not None
    size = path.with_name(path.name + "-wal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.sqlite
@EVERY_WRITE
def test_a_full_disk_refuses_every_write_and_is_forgotten_once_there_is_room(
    world: World, write: str
) -> None:
    """SQLite finds out as late as in the commit."""
    _refuses_and_recovers(world, _full_disk(world.store), WRITES[write])


def test_a_revocation_whose_answer_was_lost_can_be_asked_again(world: World) -> None:
    """It had committed: the second time succeeds as well, and the log has one of it."""
    WRITES["revoke"](world)
    WRITES["revoke"](world)
    assert len(events_of(world.store, "token.revoked")) == 1


def test_no_secret_is_given_out_for_a_token_that_was_not_stored(world: World) -> None:
    origin = origin_of(world.store, world.token.secret)
    wish = TokenWish(name="new", scopes=("api",))
    with _full(world.store), pytest.raises(StorageUnavailable):
        minting.create_for_self(world.store, origin, wish)
    new = minting.create_for_self(world.store, origin, wish)
    found = list_tokens(world.store, None, TokenFilter(search="new")).items
    assert [token.id for token in found] == [new.record.id]
