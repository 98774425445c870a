"""Create the tables of the lease: which processes answer from a cache."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_lease"
down_revision = "0001_core"
branch_labels = None
depends_on = None

# SQLite only gives AUTOINCREMENT to a column that is literally INTEGER.
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# When the server started, and on which timeline it writes.
_IDENTITY: sa.ColumnElement[str] = sa.literal_column(
    "extract(epoch FROM pg_postmaster_start_time())::text"
    " || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)"
)


def upgrade() -> None:
    """Create both; nobody holds a lease yet."""
    op.create_table(
        "cache_lease",
        sa.Column("lease_id", sa.String(32), nullable=False),
        sa.Column("acked_seq", sa.BigInteger(), nullable=False),
        sa.Column("lease_ms", sa.BigInteger(), nullable=False),
        sa.Column("node", sa.String(255), nullable=False),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lease_id", name=op.f("pk_cache_lease")),
    )
    table = op.create_table(
        "cache_server",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("identity", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cache_server")),
        sa.CheckConstraint("id = 1", name=op.f("ck_cache_server_single")),
    )
    # Nobody holds a lease yet, so that none can have been lost on this server.
    here = _IDENTITY if op.get_bind().dialect.name == "postgresql" else None
    op.execute(table.insert().values(id=1, identity=here))


def downgrade() -> None:
    """Drop both; no older version answers from a cache."""
    op.drop_table("cache_server")
    op.drop_table("cache_lease")
