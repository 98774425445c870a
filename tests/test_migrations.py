from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, Inspector, inspect, text

import tokensrv.migrations
from tests.databases import Databases, migrate, opened
from tokensrv.config import Settings
from tokensrv.db import Base

FOLDER = Path(tokensrv.migrations.__file__).parent
_NUMBERED = [
    "client",
    "passkey",
    "recovery_code",
    "repository_rule",
    "signing_key",
    "ssh_key",
    "token",
    "user",
    "web_session",
]


@pytest.fixture
def migrated(empty_settings: Settings) -> Iterator[Engine]:
    with opened(empty_settings) as store:
        with store.engine.begin() as connection:
            migrate(connection)
        yield store.engine


@pytest.fixture
def created(tmp_path: Path, databases: Databases) -> Iterator[Engine]:
    instance = tmp_path / "created"
    instance.mkdir()
    with opened(Settings(instance=instance, database_url=databases.own(instance))) as store:
        Base.metadata.create_all(store.engine)
        yield store.engine


def _tables(engine: Engine) -> dict[str, Any]:
    inspector = inspect(engine)
    return {name: _describe(inspector, name) for name in _names(engine)}


def _describe(inspector: Inspector, table: str) -> dict[str, Any]:
    columns = [
        column | {"type": column["type"].compile(inspector.dialect)}
        for column in inspector.get_columns(table)
    ]
    return {
        "columns": columns,
        "primary key": inspector.get_pk_constraint(table),
        "foreign keys": _sorted(inspector.get_foreign_keys(table)),
        "unique": _sorted(inspector.get_unique_constraints(table)),
        "checks": _sorted(inspector.get_check_constraints(table)),
        "indexes": _sorted(inspector.get_indexes(table)),
    }


def _sorted(found: list[Any]) -> list[str]:
    return sorted(json.dumps(entry, default=str, sort_keys=True) for entry in found)


def _names(engine: Engine) -> list[str]:
    return [name for name in inspect(engine).get_table_names() if name != "alembic_version"]


def test_the_migrations_make_what_the_models_describe(migrated: Engine, created: Engine) -> None:
    assert _tables(migrated) == _tables(created)


def test_alembic_finds_nothing_left_to_migrate(migrated: Engine) -> None:
    with migrated.connect() as connection:
        # On SQLite it takes an empty string for no default; the test above compares these as well.
        is_exact = migrated.dialect.name == "postgresql"
        options = {"compare_type": True, "compare_server_default": is_exact}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


@pytest.mark.sqlite
def test_ids_never_come_back_in_sqlite(migrated: Engine, created: Engine) -> None:
    query = text("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%' ORDER BY name")
    with migrated.connect() as first, created.connect() as second:
        found = first.scalars(query).all()
        assert found == second.scalars(query).all() == _NUMBERED


def test_down_and_up_again_makes_the_same(migrated: Engine) -> None:
    before = _tables(migrated)
    with migrated.begin() as connection:
        migrate(connection, "downgrade", "base")
    assert _names(migrated) == []
    with migrated.begin() as connection:
        migrate(connection)
    assert _tables(migrated) == before


def test_a_log_from_before_the_web_stays_as_it_is_and_tells_whom_it_is_about(
    empty_settings: Settings,
) -> None:
    log = text("SELECT seq, action, data, prev_hash, hash FROM event ORDER BY seq")
    told = [
        ("user.created", {"user_id": 7, "name": "\u202e<b>"}, 7),
        ("token.changed", {"user_id": 2**62, "changed": {"user_id": 3}}, 2**62),
        ("client.created", {"name": "user_id"}, None),
        ("sudo.used", {"path": "/api/v4/tokensrv/clients/a\0b"}, None),
    ]
    with opened(empty_settings) as store, store.engine.begin() as connection:
        migrate(connection, revision="0003_lists")
        for seq, (action, data, _) in enumerate(told, start=1):
            connection.execute(
                text(
                    "INSERT INTO event (seq, at, action, data, prev_hash, hash)"
                    " VALUES (:seq, 0, :action, :data, 'a', 'b')"
                ),
                {"seq": seq, "action": action, "data": json.dumps(data)},
            )
        before = connection.execute(log).all()
        for _ in range(2):
            migrate(connection)
            found = connection.scalars(text("SELECT about_id FROM event ORDER BY seq")).all()
            assert found == [about for _, _, about in told]
            assert connection.execute(log).all() == before
            migrate(connection, "downgrade", "0003_lists")
            assert connection.execute(log).all() == before


def test_the_event_log_begins_with_an_empty_head(migrated: Engine) -> None:
    with migrated.connect() as connection:
        rows = connection.execute(text("SELECT id, seq, hash FROM event_head")).all()
    assert rows == [(1, 0, "0" * 64)]


def test_a_migration_that_fails_leaves_nothing_behind(empty_settings: Settings) -> None:
    with opened(empty_settings) as store:
        engine = store.engine
        with engine.begin() as connection:
            # The fourth table is in the way.
            connection.execute(text("CREATE TABLE event (a INTEGER)"))
        with pytest.raises(Exception, match="event"), engine.begin() as connection:
            migrate(connection)
        assert inspect(engine).get_table_names() == ["event"]


def test_head_names_the_one_head() -> None:
    script = ScriptDirectory(str(FOLDER))
    assert script.get_heads() == [(FOLDER / "HEAD").read_text().strip()]


def test_a_migrations_file_is_named_like_its_revision_and_numbered() -> None:
    script = ScriptDirectory(str(FOLDER))
    revisions = [entry.revision for entry in script.walk_revisions()][::-1]
    assert revisions == sorted(path.stem for path in (FOLDER / "versions").glob("*.py"))
    assert [name[:5] for name in revisions] == [f"{n + 1:04}_" for n in range(len(revisions))]
    # The column that keeps it is no longer.
    assert max(len(name) for name in revisions) <= 32


def test_a_new_migration_comes_from_the_template(tmp_path: Path) -> None:
    copy = shutil.copytree(FOLDER, tmp_path / "migrations")
    config = Config()
    config.set_main_option("script_location", str(copy))
    config.set_main_option("file_template", "%%(rev)s")
    command.revision(config, "Add a thing", rev_id="9999_thing")
    script = ScriptDirectory(str(copy))
    assert script.get_heads() == ["9999_thing"]
    assert script.get_revision("9999_thing").doc == "Add a thing."
