"""The tables of the lease: who may answer from a cache, and on whose word that is trusted.

Only PostgreSQL has rows in them that count, for SQLite is read without a cache.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from tokensrv.db import Base, Moment
from tokensrv.db.base import Id


class CacheLease(Base):
    """A process that answers from its cache, and the last event that it has evicted.

    It has no expiry: whether a holder is gone is for whoever waits for it to find out.
    """

    __tablename__ = "cache_lease"

    # A new one for each registration, so that a late statement of a dead connection is nobody's.
    lease_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    acked_seq: Mapped[int] = mapped_column(BigInteger)
    # How long whoever waits for this process must wait at most.
    lease_ms: Mapped[int] = mapped_column(BigInteger)
    # Host and process, for people.
    node: Mapped[str] = mapped_column(String(255))
    registered_at: Mapped[datetime] = mapped_column(Moment)


class CacheServer(Base):
    """The database server whose leases are complete: another one may have lost some of them."""

    __tablename__ = "cache_server"

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    # Its start and its timeline. NULL: none is known, as on SQLite, where nobody asks.
    identity: Mapped[str | None] = mapped_column(String(64))

    __table_args__ = (CheckConstraint("id = 1", name="single"),)
