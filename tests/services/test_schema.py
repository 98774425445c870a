from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from tests.conftest import START, ManualClock
from tests.databases import migrate, opened
from tests.processes import Process
from tokensrv.config import Settings
from tokensrv.errors import SchemaMismatch, StorageUnavailable
from tokensrv.services import schema
from tokensrv.services.reports.event_lists import EventFilter, list_events
from tokensrv.services.schema import SchemaState

HEAD = (Path(schema.__file__).parents[1] / "migrations" / "HEAD").read_text().strip()

# It waits until everybody is ready, so that all upgrade in the same moment.
_UPGRADE = """
print("ready", flush=True)
input()
print(schema.upgrade(settings, SystemClock()))
"""

# It upgrades as another node does, and takes its time while it holds the lock.
_SLOW_UPGRADE = """
from sqlalchemy import text
from tests.databases import migrate
with opened(settings) as store, store.write() as session:
    if settings.sqlite_path is None:
        session.execute(text("SELECT pg_advisory_xact_lock(x'746f6b656e737276'::bigint)"))
    print("held", flush=True)
    input()
    migrate(session.connection())
    session.commit()
"""


def _state(settings: Settings) -> SchemaState:
    with opened(settings) as store:
        return schema.state(store)


def _set_revision(settings: Settings, revision: str) -> None:
    with opened(settings) as store, store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})


def test_an_upgrade_makes_an_empty_database_current(
    empty_settings: Settings, clock: ManualClock
) -> None:
    assert _state(empty_settings) is SchemaState.EMPTY
    assert schema.upgrade(empty_settings, clock)
    assert _state(empty_settings) is SchemaState.CURRENT


def test_a_second_upgrade_changes_nothing(empty_settings: Settings, clock: ManualClock) -> None:
    schema.upgrade(empty_settings, clock)
    assert not schema.upgrade(empty_settings, clock)
    with opened(empty_settings) as store:
        assert len(list_events(store, EventFilter())) == 1


def test_an_upgrade_is_an_event(empty_settings: Settings, clock: ManualClock) -> None:
    schema.upgrade(empty_settings, clock)
    with opened(empty_settings) as store:
        (event,) = list_events(store, EventFilter())
    assert (event.seq, event.action, event.at) == (1, "schema.upgraded", START)
    assert event.data == {"from": None, "to": HEAD, "via": "cli"}


def test_an_older_schema_is_upgraded(
    empty_settings: Settings, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(empty_settings) as store, store.engine.begin() as connection:
        migrate(connection)
    # What this code knows as the newest one is replaced: there is only one migration yet.
    monkeypatch.setattr(schema, "_head", lambda: "9999_later")
    assert _state(empty_settings) is SchemaState.OLDER
    assert schema.upgrade(empty_settings, clock)


def test_an_unknown_revision_is_newer_and_left_alone(
    empty_settings: Settings, clock: ManualClock
) -> None:
    schema.upgrade(empty_settings, clock)
    _set_revision(empty_settings, "9999_later")
    assert _state(empty_settings) is SchemaState.NEWER
    with pytest.raises(SchemaMismatch, match="newer"):
        schema.upgrade(empty_settings, clock)
    assert _state(empty_settings) is SchemaState.NEWER


def test_what_was_read_counts_although_another_release_is_installed_meanwhile(
    empty_settings: Settings, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema.upgrade(empty_settings, clock)
    schema._head.cache_clear()  # noqa: SLF001  # as in a process that has just started
    schema._known.cache_clear()  # noqa: SLF001
    schema.read_revisions()
    (tmp_path / "HEAD").write_text("9999_later\n")
    (tmp_path / "versions").mkdir()
    monkeypatch.setattr(schema, "files", lambda _package: tmp_path)
    assert _state(empty_settings) is SchemaState.CURRENT
    _set_revision(empty_settings, "0001_core")
    assert _state(empty_settings) is SchemaState.OLDER


def test_an_upgrade_that_fails_leaves_nothing_behind(
    empty_settings: Settings, clock: ManualClock
) -> None:
    with opened(empty_settings) as store, store.engine.begin() as connection:
        connection.execute(text("CREATE TABLE event (a INTEGER)"))
    with pytest.raises(Exception, match=r"event|available"):
        schema.upgrade(empty_settings, clock)
    assert _state(empty_settings) is SchemaState.EMPTY
    with opened(empty_settings) as store:
        assert inspect(store.engine).get_table_names() == ["event"]


@pytest.mark.sqlite
def test_an_upgrade_that_would_leave_broken_references_is_undone(
    empty_settings: Settings, clock: ManualClock
) -> None:
    with opened(empty_settings) as store, store.engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        connection.exec_driver_sql("CREATE TABLE child (id INTEGER REFERENCES parent (id))")
        connection.commit()
        connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF").close()
        connection.exec_driver_sql("INSERT INTO child VALUES (1)")
        connection.commit()
    with pytest.raises(SchemaMismatch, match="child"):
        schema.upgrade(empty_settings, clock)
    assert _state(empty_settings) is SchemaState.EMPTY


def test_processes_that_start_at_once_upgrade_one_after_the_other(
    empty_settings: Settings,
) -> None:
    nodes = [Process(_UPGRADE, empty_settings) for _ in range(4)]
    for node in nodes:
        assert node.hear() == "ready"
    for node in nodes:
        node.say()
    assert sorted(node.end() for node in nodes) == ["False", "False", "False", "True"]
    with opened(empty_settings) as store:
        assert schema.state(store) is SchemaState.CURRENT
        assert len(list_events(store, EventFilter())) == 1


def test_whoever_waited_for_another_node_finds_nothing_left_to_do(
    empty_settings: Settings, clock: ManualClock
) -> None:
    other = Process(_SLOW_UPGRADE, empty_settings)
    assert other.hear() == "held"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(schema.upgrade, empty_settings, clock)
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        other.say()
        other.end()
        assert waiting.result(10) is False
    assert _state(empty_settings) is SchemaState.CURRENT


@pytest.mark.sqlite
def test_the_folder_and_the_file_are_made_for_the_owner_alone(
    tmp_path: Path, clock: ManualClock
) -> None:
    settings = Settings(instance=tmp_path / "new" / "instance")
    schema.upgrade(settings, clock)
    assert settings.instance.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in settings.instance.iterdir()}
    assert modes == {"tokensrv.sqlite3": 0o600, "tokensrv.sqlite3.lock": 0o600}


@pytest.mark.sqlite
def test_asking_for_the_state_creates_no_file(empty_settings: Settings) -> None:
    with opened(empty_settings) as store:
        assert empty_settings.sqlite_path is not None
        empty_settings.sqlite_path.unlink()
        assert schema.state(store) is SchemaState.EMPTY
    assert list(empty_settings.instance.iterdir()) == []


@pytest.mark.sqlite
def test_a_place_where_no_file_can_be_made_is_named(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnavailable, match="file/instance"):
        schema.upgrade(Settings(instance=tmp_path / "file" / "instance"), clock)


def test_a_database_that_is_away_is_said_at_once(
    empty_settings: Settings, clock: ManualClock
) -> None:
    if empty_settings.sqlite_path is None:
        away = dataclasses.replace(
            empty_settings, database_url="postgresql+psycopg://nobody@127.0.0.1:1/nothing"
        )
    else:
        away = empty_settings
        away.sqlite_path.write_bytes(b"This is no database, whatever it is called." * 100)
    with pytest.raises(StorageUnavailable):
        schema.upgrade(away, clock)
