"""The table of users."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from tokensrv.db import Base, Moment
from tokensrv.db.base import Id
from tokensrv.domain.facts import UserFacts, UserState


class User(Base):
    """A person or a machine that owns tokens. Ids never come back."""

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    username: Mapped[str] = mapped_column(String(255))
    # Lower case: names are unique and found without regard to case, in every engine alike.
    username_key: Mapped[str] = mapped_column(String(255), unique=True)
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(16), server_default=UserState.ACTIVE.value)
    is_admin: Mapped[bool] = mapped_column(server_default=false())
    # NULL: no password was set, nobody can sign in with one.
    password_hash: Mapped[str | None] = mapped_column(Text)
    # An admin chose the password: it must be changed at the first sign-in.
    password_expired: Mapped[bool] = mapped_column(server_default=false())
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)
    # NULL: made by `init` or on the command line, or the admin is gone.
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    # NULL: no token of this user was ever used.
    last_activity_at: Mapped[datetime | None] = mapped_column(Moment)
    note: Mapped[str | None] = mapped_column(Text)
    bio: Mapped[str] = mapped_column(Text, server_default="")
    location: Mapped[str | None] = mapped_column(Text)
    organization: Mapped[str] = mapped_column(Text, server_default="")
    job_title: Mapped[str] = mapped_column(Text, server_default="")
    website_url: Mapped[str] = mapped_column(Text, server_default="")
    public_email: Mapped[str] = mapped_column(Text, server_default="")
    external: Mapped[bool] = mapped_column(server_default=false())
    private_profile: Mapped[bool] = mapped_column(server_default=false())

    __table_args__ = (
        CheckConstraint("state IN ('active', 'blocked', 'deactivated', 'banned')", name="state"),
        Index("ix_user_created_by_id", "created_by_id"),
        # What lists are sorted by, beside the id and the username.
        Index("ix_user_name_id", "name", "id"),
        Index("ix_user_created_at_id", "created_at", "id"),
        Index("ix_user_updated_at_id", "updated_at", "id"),
        # Few rows: what a verb that may take an admin away locks.
        Index(
            "ix_user_is_admin",
            "id",
            sqlite_where=text("is_admin = 1"),
            postgresql_where=text("is_admin"),
        ),
        {"sqlite_autoincrement": True},
    )

    def facts(self) -> UserFacts:
        """Return this user as the decisions see him."""
        return UserFacts(self.id, self.username, self.state, self.is_admin)
