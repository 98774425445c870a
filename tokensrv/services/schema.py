"""The schema: whether the database has the one this code was written for, and how it gets it.

It owns the comparison and the upgrade. What the tables are is written in ``models``, the steps
that lead there in ``migrations``; nothing here knows either. Whoever serves asks ``state`` and
never upgrades by himself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, event, inspect, text
from sqlalchemy.orm import Session

from tokensrv.clock import Clock
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.db.store import database_url, engine_options
from tokensrv.errors import SchemaMismatch, StorageUnavailable
from tokensrv.services.trail import events
from tokensrv.services.trail.events import NewEvent

_MIGRATIONS = "tokensrv.migrations"
_VERSION_TABLE = "alembic_version"
# "tokensrv" in ASCII: what all nodes that upgrade one PostgreSQL database lock.
_LOCK_KEY = 0x746F6B656E737276
# A migration may rewrite a large table, or wait for another node that does: as good as no limit.
_PATIENCE_SECONDS = 86_400.0


class SchemaState(StrEnum):
    """What the schema of a database is to this code."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


# What to do about a schema that does not fit; one that does has no advice.
ADVICE: Final = {
    SchemaState.EMPTY: "The database has no schema; run `tokensrv init`.",
    SchemaState.OLDER: (
        "The schema of the database is older than this code; run `tokensrv db upgrade`."
    ),
    SchemaState.NEWER: (
        "The schema of the database is newer than this code; install a newer tokensrv."
    ),
}


def state(store: Store) -> SchemaState:
    """Return what the database's schema is to this code; raises StorageUnavailable.

    A revision that this code does not know is newer.
    """
    path = store.settings.sqlite_path
    if path is not None and not path.exists():
        # Asking SQLite would create the file, readable for everybody.
        return SchemaState.EMPTY
    with store.read() as session:
        return _classify(_revision(session))


def upgrade(settings: Settings, clock: Clock) -> bool:
    """Bring the database to this code's schema, return whether that changed anything.

    Nodes and processes that start at once do it one after the other. It is one transaction, with
    its event. Raises SchemaMismatch when the schema is newer, StorageUnavailable.
    """
    # The usual time limits hold for finding out that the database is away.
    with _opened(settings, clock) as store:
        if not _is_due(state(store)):
            return False
    _create_file(settings)
    patient = dataclasses.replace(settings, storage_timeout_seconds=_PATIENCE_SECONDS)
    with _opened(patient, clock) as store:
        return _upgrade(store)


def _upgrade(store: Store) -> bool:
    is_sqlite = store.settings.sqlite_path is not None
    if is_sqlite:
        # A migration copies a table and drops the old one, which must not delete what refers to
        # it. SQLite ignores this pragma inside a transaction, so it is set on connecting.
        event.listen(
            store.engine, "connect", lambda raw, _: raw.execute("PRAGMA foreign_keys=OFF").close()
        )
    with store.write() as session:
        if not is_sqlite:
            session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        before = _revision(session)
        # Somebody else may have done it while this one waited.
        if not _is_due(_classify(before)):
            return False
        _migrate(session)
        if is_sqlite:
            _check_references(session)
        happened = NewEvent(action="schema.upgraded", data={"from": before, "to": _head()})
        events.append(session, store.clock, events.COMMAND_LINE, [happened])
    return True


def _is_due(found: SchemaState) -> bool:
    if found is SchemaState.NEWER:
        raise SchemaMismatch(
            "The schema of the database is newer than this tokensrv; install a newer tokensrv."
        )
    return found is not SchemaState.CURRENT


def _classify(revision: str | None) -> SchemaState:
    if revision is None:
        return SchemaState.EMPTY
    if revision == _head():
        return SchemaState.CURRENT
    return SchemaState.OLDER if revision in _known() else SchemaState.NEWER


def _revision(session: Session) -> str | None:
    if not inspect(session.connection()).has_table(_VERSION_TABLE):
        return None
    found: str | None = session.scalar(text(f"SELECT version_num FROM {_VERSION_TABLE}"))  # noqa: S608  # a constant
    return found


def read_revisions() -> None:
    """Read now what this code's revisions are, for this process and those forked from it.

    Otherwise it is read at the first use, and an upgrade of the package may be in between.
    """
    _head()
    _known()


@cache
def _head() -> str:
    return (files(_MIGRATIONS) / "HEAD").read_text(encoding="ascii").strip()


@cache
def _known() -> frozenset[str]:
    # A migration's file is named like its revision.
    entries = (files(_MIGRATIONS) / "versions").iterdir()
    return frozenset(entry.name.removesuffix(".py") for entry in entries)


def _migrate(session: Session) -> None:
    config = Config()
    config.set_main_option("script_location", _MIGRATIONS.replace(".", ":"))
    config.attributes["connection"] = session.connection()
    command.upgrade(config, "head")


def _check_references(session: Session) -> None:
    broken = session.execute(text("PRAGMA foreign_key_check")).first()
    if broken is not None:
        raise SchemaMismatch(
            f"Rows of the table {broken[0]} refer to rows that do not exist; nothing was changed."
        )


def _create_file(settings: Settings) -> None:
    path = settings.sqlite_path
    if path is None or path.exists():
        return
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The files that SQLite puts beside it take over its mode.
        path.touch(mode=0o600)
    except OSError as error:
        raise StorageUnavailable(f"{path} cannot be created: {error.strerror}.") from None


@contextmanager
def _opened(settings: Settings, clock: Clock) -> Iterator[Store]:
    engine = create_engine(database_url(settings), **engine_options(settings))
    store = Store(engine, clock, settings)
    try:
        yield store
    finally:
        store.close()
