"""The tables of links: addresses that open one thing each to whoever has them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from tokensrv.db import Base, Moment


class PasswordReset(Base):
    """A link with which a user sets a new password, once. A new one replaces the one before."""

    __tablename__ = "password_reset"

    user_id: Mapped[int] = mapped_column(
        ForeignKey("user.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime] = mapped_column(Moment)
    # The first moment at which it is dead.
    expires_at: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = (CheckConstraint("length(digest) = 32", name="digest"),)


class CalendarFeed(Base):
    """A link to the expiry dates of a user's tokens, as a calendar."""

    __tablename__ = "calendar_feed"

    user_id: Mapped[int] = mapped_column(
        ForeignKey("user.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = (CheckConstraint("length(digest) = 32", name="digest"),)
