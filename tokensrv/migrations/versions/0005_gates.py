"""Create the tables of the gates: rules for repositories, SSH keys, connections over SSH."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005_gates"
down_revision = "0004_web"
branch_labels = None
depends_on = None

# SQLite only gives AUTOINCREMENT to a column that is literally INTEGER.
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.BigInteger()
_NEWEST = sa.text("retired_at IS NULL")


def upgrade() -> None:
    """Create all of them; there is no rule, and nobody has a key."""
    _create_repository_rule()
    _create_ssh_key()
    _create_ssh_login()
    purpose = sa.Column("purpose", sa.String(16), server_default="answers", nullable=False)
    op.add_column("signing_key", purpose)
    op.drop_index("uq_signing_key_alg_newest", "signing_key")
    _create_newest("uq_signing_key_purpose_alg_newest", ["purpose", "alg"])


def downgrade() -> None:
    """Drop all of them, and the keys that sign for registries: scopes alone decide again."""
    op.execute("DELETE FROM signing_key WHERE purpose <> 'answers'")
    op.drop_index("uq_signing_key_purpose_alg_newest", "signing_key")
    op.drop_column("signing_key", "purpose")
    _create_newest("uq_signing_key_alg_newest", ["alg"])
    for table in ("ssh_login", "ssh_key", "repository_rule"):
        op.drop_table(table)


def _create_repository_rule() -> None:
    op.create_table(
        "repository_rule",
        sa.Column("id", _ID, nullable=False),
        sa.Column("prefix", sa.String(255), nullable=False),
        sa.Column("user_id", _ID, nullable=True),
        sa.Column("access", sa.String(8), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.CheckConstraint("access IN ('read', 'write')", name=op.f("ck_repository_rule_access")),
        _referring("repository_rule", "user", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_repository_rule")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_repository_rule_user_id_prefix", "repository_rule", ["user_id", "prefix"], unique=True
    )


def _create_ssh_key() -> None:
    op.create_table(
        "ssh_key",
        sa.Column("id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=True),
        sa.Column("last_used_at", _MOMENT, nullable=True),
        _is_digest("ssh_key", "fingerprint"),
        _referring("ssh_key", "user", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ssh_key")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_ssh_key_fingerprint")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ssh_key_user_id_id", "ssh_key", ["user_id", "id"])


def _create_ssh_login() -> None:
    op.create_table(
        "ssh_login",
        sa.Column("connection", sa.LargeBinary(32), nullable=False),
        sa.Column("token_id", _ID, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        _is_digest("ssh_login", "connection"),
        _referring("ssh_login", "token", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("connection", name=op.f("pk_ssh_login")),
    )
    op.create_index("ix_ssh_login_token_id", "ssh_login", ["token_id"])
    op.create_index("ix_ssh_login_created_at", "ssh_login", ["created_at"])


def _create_newest(name: str, columns: list[str]) -> None:
    op.create_index(
        name,
        "signing_key",
        columns,
        unique=True,
        sqlite_where=_NEWEST,
        postgresql_where=_NEWEST,
    )


def _referring(table: str, whose: str, *, ondelete: str) -> sa.ForeignKeyConstraint:
    column = f"{whose}_id"
    return sa.ForeignKeyConstraint(
        [column], [f"{whose}.id"], name=op.f(f"fk_{table}_{column}"), ondelete=ondelete
    )


def _is_digest(table: str, column: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"length({column}) = 32", name=op.f(f"ck_{table}_{column}"))
