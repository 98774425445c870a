"""The table of client assertions that were used: none may be used twice, on any node."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from tokensrv.db import Base, Moment


class Assertion(Base):
    """One `jti` of a client (RFC 7523 §3), remembered until the assertion has expired."""

    __tablename__ = "assertion"

    client_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    # SHA-256 of the `jti`, which may be any text.
    jti_digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = (Index("ix_assertion_expires_at", "expires_at"),)
