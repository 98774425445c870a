"""The table of rules: who may use which repositories, beside what the scopes of a token say."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from tokensrv.db import Base, Moment
from tokensrv.db.base import Id


class RepositoryRule(Base):
    """A user may read, or read and write, every repository below a prefix. Ids never come back."""

    __tablename__ = "repository_rule"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    # Whole segments of a path without slashes at its ends, such as `team/app`; empty: everything.
    prefix: Mapped[str] = mapped_column(String(255))
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    access: Mapped[str] = mapped_column(String(8))
    created_at: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = (
        CheckConstraint("access IN ('read', 'write')", name="access"),
        Index("uq_repository_rule_user_id_prefix", "user_id", "prefix", unique=True),
        {"sqlite_autoincrement": True},
    )
