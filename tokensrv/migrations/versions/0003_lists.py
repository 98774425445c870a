"""Index what lists of millions of tokens and users are sorted and pruned by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_lists"
down_revision = "0002_lease"
branch_labels = None
depends_on = None

# What lists are sorted by: NULL comes first, as it does in SQLite without saying so.
_SORTED = {
    "token": ("created_at", "expires_at", "last_used_at", "name"),
    "user": ("created_at", "name", "updated_at"),
}
_NULLABLE = ("expires_at", "last_used_at", "revoked_at")
# Most rows have none of these, and an index of them need not know of those.
_SPARSE = ("actor_id", "previous_id", "source_id")


def upgrade() -> None:
    """Add an index for each sort and for what was revoked; leave NULL out of sparse ones."""
    for column in _SPARSE:
        op.drop_index(f"ix_token_{column}", "token")
        _index_present(column, [column])
    _index_present("revoked_at", ["revoked_at", "id"])
    for table, columns in _SORTED.items():
        for column in columns:
            op.create_index(
                f"ix_{table}_{column}_id", table, [column, "id"], postgresql_ops=_order(column)
            )


def downgrade() -> None:
    """Drop them; sparse columns are indexed in every row again."""
    for table, columns in _SORTED.items():
        for column in columns:
            op.drop_index(f"ix_{table}_{column}_id", table)
    op.drop_index("ix_token_revoked_at_id", "token")
    for column in _SPARSE:
        op.drop_index(f"ix_token_{column}", "token")
        op.create_index(f"ix_token_{column}", "token", [column])


def _index_present(column: str, columns: list[str]) -> None:
    present = sa.text(f"{column} IS NOT NULL")
    op.create_index(
        f"ix_token_{'_'.join(columns)}",
        "token",
        columns,
        sqlite_where=present,
        postgresql_where=present,
        postgresql_ops=_order(column),
    )


def _order(column: str) -> dict[str, str]:
    return {column: "NULLS FIRST"} if column in _NULLABLE else {}
