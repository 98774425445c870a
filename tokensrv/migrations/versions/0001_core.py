"""Create the first tables: users, clients, tokens, keys and the event log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001_core"
down_revision = None
branch_labels = None
depends_on = None

# SQLite only gives AUTOINCREMENT to a column that is literally INTEGER.
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.BigInteger()


def upgrade() -> None:
    """Create everything; the event log begins with an empty head."""
    _create_user()
    _create_client()
    _create_token()
    _create_assertion()
    _create_signing_key()
    _create_event()
    _create_event_head()


def downgrade() -> None:
    """Drop everything, and with it all that was ever recorded."""
    for table in ("event_head", "event", "signing_key", "assertion", "token", "client", "user"):
        op.drop_table(table)


def _create_user() -> None:
    op.create_table(
        "user",
        sa.Column("id", _ID, nullable=False),
        sa.Column("username", sa.String(255), nullable=False),
        sa.Column("username_key", sa.String(255), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("email_key", sa.String(254), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("state", sa.String(16), server_default="active", nullable=False),
        sa.Column("is_admin", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("password_expired", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.Column("created_by_id", _ID, nullable=True),
        sa.Column("last_activity_at", _MOMENT, nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("bio", sa.Text(), server_default="", nullable=False),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("organization", sa.Text(), server_default="", nullable=False),
        sa.Column("job_title", sa.Text(), server_default="", nullable=False),
        sa.Column("website_url", sa.Text(), server_default="", nullable=False),
        sa.Column("public_email", sa.Text(), server_default="", nullable=False),
        sa.Column("external", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("private_profile", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.CheckConstraint(
            "state IN ('active', 'blocked', 'deactivated', 'banned')", name=op.f("ck_user_state")
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["user.id"], name="fk_user_created_by_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_user"),
        sa.UniqueConstraint("email_key", name="uq_user_email_key"),
        sa.UniqueConstraint("username_key", name="uq_user_username_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_user_created_by_id", "user", ["created_by_id"])
    op.create_index(
        "ix_user_is_admin",
        "user",
        ["id"],
        sqlite_where=sa.text("is_admin = 1"),
        postgresql_where=sa.text("is_admin"),
    )


def _create_client() -> None:
    op.create_table(
        "client",
        sa.Column("id", _ID, nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("disabled_at", _MOMENT, nullable=True),
        sa.Column("auth_methods", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=True),
        sa.Column("allow", sa.Text(), server_default="", nullable=False),
        sa.Column("secret_digest", sa.LargeBinary(32), nullable=True),
        sa.Column("previous_secret_digest", sa.LargeBinary(32), nullable=True),
        sa.Column("jwks", sa.JSON(none_as_null=True), nullable=True),
        sa.Column(
            "introspection_signed_response_alg",
            sa.String(16),
            server_default="RS256",
            nullable=False,
        ),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_client"),
        sa.UniqueConstraint("client_id", name="uq_client_client_id"),
        sqlite_autoincrement=True,
    )


def _create_token() -> None:
    op.create_table(
        "token",
        sa.Column("id", _ID, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.String(255), nullable=True),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("audience", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=True),
        sa.Column("revoked_at", _MOMENT, nullable=True),
        sa.Column("last_used_at", _MOMENT, nullable=True),
        sa.Column("last_used_ips", sa.Text(), server_default="", nullable=False),
        sa.Column("previous_id", _ID, nullable=True),
        sa.Column("source_id", _ID, nullable=True),
        sa.Column("actor_id", _ID, nullable=True),
        sa.Column("exchanged_by", sa.String(64), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('personal', 'impersonation', 'exchanged')", name=op.f("ck_token_kind")
        ),
        sa.CheckConstraint(
            "(kind = 'exchanged') = (source_id IS NOT NULL)", name=op.f("ck_token_source")
        ),
        sa.CheckConstraint("length(digest) = 32", name=op.f("ck_token_digest")),
        sa.CheckConstraint("scopes <> ''", name=op.f("ck_token_scopes")),
        sa.ForeignKeyConstraint(
            ["previous_id"], ["token.id"], name="fk_token_previous_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name="fk_token_user_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["source_id"], ["token.id"], name="fk_token_source_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["actor_id"], ["user.id"], name="fk_token_actor_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_token"),
        sa.UniqueConstraint("digest", name="uq_token_digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_token_previous_id", "token", ["previous_id"])
    op.create_index("ix_token_user_id_id", "token", ["user_id", "id"])
    op.create_index("ix_token_source_id", "token", ["source_id"])
    op.create_index("ix_token_actor_id", "token", ["actor_id"])


def _create_assertion() -> None:
    op.create_table(
        "assertion",
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("jti_digest", sa.LargeBinary(32), nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("client_id", "jti_digest", name="pk_assertion"),
    )
    op.create_index("ix_assertion_expires_at", "assertion", ["expires_at"])


def _create_signing_key() -> None:
    op.create_table(
        "signing_key",
        sa.Column("id", _ID, nullable=False),
        sa.Column("kid", sa.String(64), nullable=False),
        sa.Column("alg", sa.String(16), nullable=False),
        sa.Column("public_jwk", sa.JSON(), nullable=False),
        sa.Column("private_encrypted", sa.Text(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("retired_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_signing_key"),
        sa.UniqueConstraint("kid", name="uq_signing_key_kid"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_signing_key_alg_newest",
        "signing_key",
        ["alg"],
        unique=True,
        sqlite_where=sa.text("retired_at IS NULL"),
        postgresql_where=sa.text("retired_at IS NULL"),
    )


def _create_event() -> None:
    op.create_table(
        "event",
        sa.Column("seq", _ID, autoincrement=False, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.String(255), nullable=True),
        sa.Column("subject_id", sa.BigInteger(), nullable=True),
        sa.Column("subject", sa.String(255), nullable=True),
        sa.Column("token_id", sa.BigInteger(), nullable=True),
        sa.Column("client_id", sa.String(64), nullable=True),
        sa.Column("ip", sa.String(64), nullable=True),
        sa.Column("request_id", sa.String(64), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("prev_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_event"),
    )
    op.create_index("ix_event_action_seq", "event", ["action", "seq"])
    op.create_index("ix_event_actor_id_seq", "event", ["actor_id", "seq"])
    op.create_index("ix_event_subject_id_seq", "event", ["subject_id", "seq"])


def _create_event_head() -> None:
    head = op.create_table(
        "event_head",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_event_head_single")),
        sa.PrimaryKeyConstraint("id", name="pk_event_head"),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": "0" * 64}])
