"""The table of web sessions: who is signed in with which browser."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from tokensrv.db import Base, Moment, Words
from tokensrv.db.base import Id


class WebSession(Base):
    """A session of a browser. Whenever its power changes it gets a new digest, never a new row."""

    __tablename__ = "web_session"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    # SHA-256 of the cookie's value.
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    # How far the sign-in has come: what is still asked for, or `full`.
    stage: Mapped[str] = mapped_column(String(16))
    # What was proven so far: password, totp, passkey, recovery.
    methods: Mapped[tuple[str, ...]] = mapped_column(Words, server_default="")
    created_at: Mapped[datetime] = mapped_column(Moment)
    seen_at: Mapped[datetime] = mapped_column(Moment)
    # When its user last proved who he is.
    authenticated_at: Mapped[datetime] = mapped_column(Moment)
    # When he last proved it with a second factor; NULL: never.
    second_factor_at: Mapped[datetime | None] = mapped_column(Moment)
    # The first moment at which it is over, however much it is used.
    expires_at: Mapped[datetime] = mapped_column(Moment)
    # Where it was last seen, and where it began. NULL: not known, as behind a Unix socket.
    ip: Mapped[str | None] = mapped_column(String(64))
    opened_ip: Mapped[str | None] = mapped_column(String(64))
    user_agent: Mapped[str] = mapped_column(String(255), server_default="")
    # What a passkey must sign next; NULL: nothing was asked.
    challenge: Mapped[bytes | None] = mapped_column(LargeBinary)
    # Whom the admin acts as, since when and why; NULL: nobody.
    subject_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    impersonating_since: Mapped[datetime | None] = mapped_column(Moment)
    reason: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        CheckConstraint("stage IN ('second_factor', 'password', 'full')", name="stage"),
        CheckConstraint("length(digest) = 32", name="digest"),
        CheckConstraint(
            "(subject_id IS NULL) = (reason IS NULL)"
            " AND (subject_id IS NULL) = (impersonating_since IS NULL)",
            name="acting",
        ),
        Index("ix_web_session_user_id_id", "user_id", "id"),
        Index("ix_web_session_subject_id", "subject_id"),
        Index("ix_web_session_expires_at", "expires_at"),
        {"sqlite_autoincrement": True},
    )
