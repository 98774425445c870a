"""What Alembic runs: the migrations on the connection, and in the transaction, of the caller.

It opens no connection and configures no logging: ``services.schema`` holds the lock that keeps
other nodes out, and has begun the transaction that everything happens in.
"""

from __future__ import annotations

from alembic import context

from tokensrv import models

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=models.User.metadata,
    # SQLite changes a table by copying it.
    render_as_batch=True,
    # Alembic knows SQLite as one that commits each DDL statement. Ours does not: we begin.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
