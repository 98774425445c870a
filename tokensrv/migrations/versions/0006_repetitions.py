"""Create the table of what processes count together that live for a moment only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_repetitions"
down_revision = "0005_gates"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create it; nothing is counted."""
    op.create_table(
        "repetition",
        sa.Column("key", sa.LargeBinary(32), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("told", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("key", "minute", name=op.f("pk_repetition")),
    )
    op.create_index("ix_repetition_minute", "repetition", ["minute"])


def downgrade() -> None:
    """Drop it, and with it what was counted in the last minute."""
    op.drop_table("repetition")
