"""The table of rules: who may use which repositories, beside what the scopes of a token say."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, select
from sqlalchemy.orm import Mapped, column_property, mapped_column

from tokensrv.db import Base, Moment
from tokensrv.db.base import Id
from tokensrv.models.user import User


class RepositoryRule(Base):
    """A user may read, or read and write, every repository below a prefix. Ids never come back."""

    __tablename__ = "repository_rule"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    # Whole segments of a path without slashes at its ends, such as `team/app`; empty: everything.
    prefix: Mapped[str] = mapped_column(String(255))
    # NULL: the user is deleted. Such a rule allows nobody anything, yet it counts as one: with the
    # last rule everything opens, and no deletion of a user must do that.
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    access: Mapped[str] = mapped_column(String(8))
    created_at: Mapped[datetime] = mapped_column(Moment)

    # No column: the user's name as it is now, NULL without one.
    username: Mapped[str | None] = column_property(
        select(User.username).where(User.id == user_id).scalar_subquery()
    )

    __table_args__ = (
        CheckConstraint("access IN ('read', 'write')", name="access"),
        Index("uq_repository_rule_user_id_prefix", "user_id", "prefix", unique=True),
        {"sqlite_autoincrement": True},
    )
