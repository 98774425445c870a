"""Where commands get their Store from: the settings of the environment and a current schema.

The web application has its own engine; a command does not wait for a web framework.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy import create_engine

from tokensrv.clock import SystemClock
from tokensrv.config import Settings, load
from tokensrv.db import Store
from tokensrv.db.store import database_url, engine_options
from tokensrv.errors import SchemaMismatch
from tokensrv.services import schema


@contextmanager
def any_store(settings: Settings) -> Iterator[Store]:
    """Give a Store whatever the schema of its database, and close it."""
    engine = create_engine(database_url(settings), **engine_options(settings))
    store = Store(engine, SystemClock(), settings)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def current_store() -> Iterator[Store]:
    """Give the instance's Store; raises ConfigError, StorageUnavailable, SchemaMismatch."""
    # A command asks once, and nobody should wait for its lease.
    with any_store(replace(load(os.environ), cache_entries=0)) as store:
        advice = schema.ADVICE.get(schema.state(store))
        if advice is not None:
            raise SchemaMismatch(advice)
        yield store
