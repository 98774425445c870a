"""Create the tables of the web, the networks of tokens, and what events are searched by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_web"
down_revision = "0003_lists"
branch_labels = None
depends_on = None

# SQLite only gives AUTOINCREMENT to a column that is literally INTEGER.
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.BigInteger()

# What an event need not have, so that an index of it leaves the others out.
_OF_EVENTS = ("about_id", "client_id", "ip", "request_id", "token_id")

_TABLES = (
    "tally",
    "submission",
    "attempt",
    "calendar_feed",
    "password_reset",
    "recovery_code",
    "passkey",
    "totp",
    "web_session",
)


def upgrade() -> None:
    """Create all of them; nobody is signed in, and every token may be used from anywhere."""
    _create_web_session()
    _create_totp()
    _create_passkey()
    _create_recovery_code()
    _create_password_reset()
    _create_calendar_feed()
    _create_attempt()
    _create_submission()
    _create_tally()
    op.add_column("token", sa.Column("allowed_ips", sa.Text(), server_default="", nullable=False))
    _make_events_searchable()


def downgrade() -> None:
    """Drop all of them: everybody is signed out, and has a password alone again."""
    for column in ("acted", "at", *_OF_EVENTS):
        op.drop_index(f"ix_event_{column}_seq", "event")
    op.drop_column("event", "about_id")
    op.drop_column("token", "allowed_ips")
    for table in _TABLES:
        op.drop_table(table)


def _create_web_session() -> None:
    table = "web_session"
    op.create_table(
        table,
        sa.Column("id", _ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("methods", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("seen_at", _MOMENT, nullable=False),
        sa.Column("authenticated_at", _MOMENT, nullable=False),
        sa.Column("second_factor_at", _MOMENT, nullable=True),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("ip", sa.String(64), nullable=True),
        sa.Column("opened_ip", sa.String(64), nullable=True),
        sa.Column("user_agent", sa.String(255), server_default="", nullable=False),
        sa.Column("challenge", sa.LargeBinary(), nullable=True),
        sa.Column("subject_id", _ID, nullable=True),
        sa.Column("impersonating_since", _MOMENT, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "stage IN ('second_factor', 'password', 'full')", name=op.f(f"ck_{table}_stage")
        ),
        _is_digest(table),
        sa.CheckConstraint(
            "(subject_id IS NULL) = (reason IS NULL)"
            " AND (subject_id IS NULL) = (impersonating_since IS NULL)",
            name=op.f(f"ck_{table}_acting"),
        ),
        _owner(table),
        _owner(table, "subject_id"),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.UniqueConstraint("digest", name=op.f(f"uq_{table}_digest")),
        sqlite_autoincrement=True,
    )
    op.create_index(f"ix_{table}_user_id_id", table, ["user_id", "id"])
    op.create_index(f"ix_{table}_subject_id", table, ["subject_id"])
    op.create_index(f"ix_{table}_expires_at", table, ["expires_at"])


def _create_totp() -> None:
    op.create_table(
        "totp",
        sa.Column("user_id", _ID, autoincrement=False, nullable=False),
        sa.Column("secret_encrypted", sa.Text(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("confirmed_at", _MOMENT, nullable=True),
        sa.Column("last_step", sa.BigInteger(), server_default="0", nullable=False),
        _owner("totp"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_totp")),
    )


def _create_passkey() -> None:
    op.create_table(
        "passkey",
        sa.Column("id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("transports", sa.Text(), server_default="", nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("last_used_at", _MOMENT, nullable=True),
        _owner("passkey"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkey")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkey_credential_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_passkey_user_id", "passkey", ["user_id"])


def _create_recovery_code() -> None:
    op.create_table(
        "recovery_code",
        sa.Column("id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        _is_digest("recovery_code"),
        _owner("recovery_code"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_code")),
        sa.UniqueConstraint("digest", name=op.f("uq_recovery_code_digest")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_recovery_code_user_id", "recovery_code", ["user_id"])


def _create_password_reset() -> None:
    op.create_table(
        "password_reset",
        sa.Column("user_id", _ID, autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        _is_digest("password_reset"),
        _owner("password_reset"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_password_reset")),
        sa.UniqueConstraint("digest", name=op.f("uq_password_reset_digest")),
    )


def _create_calendar_feed() -> None:
    op.create_table(
        "calendar_feed",
        sa.Column("user_id", _ID, autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        _is_digest("calendar_feed"),
        _owner("calendar_feed"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_calendar_feed")),
        sa.UniqueConstraint("digest", name=op.f("uq_calendar_feed_digest")),
    )


def _create_attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("key", sa.LargeBinary(32), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("ends_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_attempt")),
    )
    op.create_index("ix_attempt_ends_at", "attempt", ["ends_at"])


def _create_submission() -> None:
    op.create_table(
        "submission",
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        _owner("submission"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_submission")),
    )
    op.create_index("ix_submission_user_id", "submission", ["user_id"])
    op.create_index("ix_submission_created_at", "submission", ["created_at"])


def _create_tally() -> None:
    op.create_table(
        "tally",
        sa.Column("hour", _MOMENT, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "name", name=op.f("pk_tally")),
    )


def _owner(table: str, column: str = "user_id") -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], ["user.id"], name=op.f(f"fk_{table}_{column}"), ondelete="CASCADE"
    )


def _make_events_searchable() -> None:
    op.add_column("event", sa.Column("about_id", sa.BigInteger(), nullable=True))
    # Both engines read JSON with this operator. Those of sudo are about no user by id, and the path
    # that they tell may hold a NUL, with which PostgreSQL can store JSON but not read it.
    op.execute(
        "UPDATE event SET about_id = CAST(data ->> 'user_id' AS BIGINT)"
        " WHERE action NOT LIKE 'sudo.%'"
    )
    op.create_index("ix_event_at_seq", "event", ["at", "seq"])
    acted = sa.text("actor_id <> subject_id")
    op.create_index(
        "ix_event_acted_seq",
        "event",
        ["subject_id", "seq"],
        sqlite_where=acted,
        postgresql_where=acted,
    )
    for column in _OF_EVENTS:
        present = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            f"ix_event_{column}_seq",
            "event",
            [column, "seq"],
            sqlite_where=present,
            postgresql_where=present,
        )


def _is_digest(table: str) -> sa.CheckConstraint:
    return sa.CheckConstraint("length(digest) = 32", name=op.f(f"ck_{table}_digest"))
