"""The tables of counts: of failures, of forms that were sent, and of what happened how often."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from tokensrv.db import Base, Moment


class Attempt(Base):
    """How often a credential failed under one key since its window began."""

    __tablename__ = "attempt"

    # A digest of whom and where from, so that the table tells neither.
    key: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    count: Mapped[int] = mapped_column(Integer)
    # The first moment at which the count begins anew.
    ends_at: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = (Index("ix_attempt_ends_at", "ends_at"),)


class Submission(Base):
    """A form that was sent and has made something: sent again, it makes nothing."""

    __tablename__ = "submission"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = (
        Index("ix_submission_user_id", "user_id"),
        Index("ix_submission_created_at", "created_at"),
    )


class Repetition(Base):
    """How often one kind of thing happened in a minute, until that is told in the event log."""

    __tablename__ = "repetition"

    # A digest of what counts as the same.
    key: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    minute: Mapped[datetime] = mapped_column(Moment, primary_key=True)
    count: Mapped[int] = mapped_column(Integer)
    # The event that was written of it, as JSON; NULL: none is yet.
    told: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (Index("ix_repetition_minute", "minute"),)


class Tally(Base):
    """How often something happened within one hour, in all processes of all nodes."""

    __tablename__ = "tally"

    hour: Mapped[datetime] = mapped_column(Moment, primary_key=True)
    # Such as `introspection.active`.
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
