"""The table of keys that this server signs with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from tokensrv.db import Base, Moment
from tokensrv.db.base import Id


class SigningKey(Base):
    """A key pair; the private half is readable with the instance's master key only."""

    __tablename__ = "signing_key"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kid: Mapped[str] = mapped_column(String(64), unique=True)
    alg: Mapped[str] = mapped_column(String(16))
    public_jwk: Mapped[dict[str, Any]] = mapped_column(JSON)
    private_encrypted: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
    # NULL: the newest of its purpose and algorithm, which signs as soon as the ones before it are
    # retired. That moment may still lie ahead; after it a key only verifies what it has signed.
    retired_at: Mapped[datetime | None] = mapped_column(Moment)
    # What it signs: answers to services, or what a container registry lets somebody do.
    purpose: Mapped[str] = mapped_column(String(16), server_default="answers")

    __table_args__ = (
        Index(
            "uq_signing_key_purpose_alg_newest",
            "purpose",
            "alg",
            unique=True,
            sqlite_where=text("retired_at IS NULL"),
            postgresql_where=text("retired_at IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )
