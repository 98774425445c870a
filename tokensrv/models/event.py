"""The append-only event log and its head."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import JSON, BigInteger, CheckConstraint, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from tokensrv.db import Base, Moment
from tokensrv.db.base import Id

# Where PostgreSQL tells that an event was committed which may change what a cache holds.
EVENT_CHANNEL: Final = "tokensrv_event"

_IS_ACTED: Final = text("actor_id <> subject_id")


def _of_present(column: str) -> Index:
    """Return an index of the rows in which the column is not NULL, the latest found first."""
    present = text(f"{column} IS NOT NULL")
    name = f"ix_event_{column}_seq"
    return Index(name, column, "seq", sqlite_where=present, postgresql_where=present)


class Event(Base):
    """One row of the log. No foreign keys: it outlives everything it speaks of."""

    __tablename__ = "event"

    seq: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(Moment)
    action: Mapped[str] = mapped_column(String(64))
    # NULL in both pairs: nobody was signed in (the command line; data.via says so).
    actor_id: Mapped[int | None] = mapped_column(BigInteger)
    actor: Mapped[str | None] = mapped_column(String(255))
    subject_id: Mapped[int | None] = mapped_column(BigInteger)
    subject: Mapped[str | None] = mapped_column(String(255))
    # NULL: it concerns no token.
    token_id: Mapped[int | None] = mapped_column(BigInteger)
    # NULL: it concerns no client. The public client id, not the row's.
    client_id: Mapped[str | None] = mapped_column(String(64))
    # NULL: it did not come over the network.
    ip: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64))
    # NULL: no reason was given.
    reason: Mapped[str | None] = mapped_column(Text)
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    prev_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
    # The `user_id` of the data, where an index finds it. The hash covers the data, not this copy.
    # NULL: it is about no user.
    about_id: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (
        Index("ix_event_actor_id_seq", "actor_id", "seq"),
        Index("ix_event_subject_id_seq", "subject_id", "seq"),
        Index("ix_event_action_seq", "action", "seq"),
        Index("ix_event_at_seq", "at", "seq"),
        # What somebody else did as a user, among all that he did himself.
        Index(
            "ix_event_acted_seq",
            "subject_id",
            "seq",
            sqlite_where=_IS_ACTED,
            postgresql_where=_IS_ACTED,
        ),
        _of_present("about_id"),
        _of_present("client_id"),
        _of_present("ip"),
        _of_present("request_id"),
        _of_present("token_id"),
    )


class EventHead(Base):
    """The last row of the log. Whoever appends locks this row, so ``seq`` is commit order."""

    __tablename__ = "event_head"

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(64))

    __table_args__ = (CheckConstraint("id = 1", name="single"),)
