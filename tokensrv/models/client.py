"""The table of clients: the internal services that may ask about tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from tokensrv.db import Base, Moment, Words
from tokensrv.db.base import Id


class Client(Base):
    """A resource server. Two secrets may live at a time, so that rotation needs no downtime."""

    __tablename__ = "client"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    client_id: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text, server_default="")
    # NULL: enabled.
    disabled_at: Mapped[datetime | None] = mapped_column(Moment)
    auth_methods: Mapped[tuple[str, ...]] = mapped_column(Words)
    # NULL: it may see every scope.
    scopes: Mapped[tuple[str, ...] | None] = mapped_column(Words)
    # What it may do beyond introspecting: sudo, exchange, batch, revoke.
    allow: Mapped[tuple[str, ...]] = mapped_column(Words, server_default="")
    # NULL: it has no secret.
    secret_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    # NULL: no earlier secret is valid beside the current one.
    previous_secret_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    # Public keys as a JWK set (RFC 7517 §5); NULL: it has none.
    jwks: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    # How a signed answer to it is signed (RFC 9701 §6).
    introspection_signed_response_alg: Mapped[str] = mapped_column(
        String(16), server_default="RS256"
    )
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = ({"sqlite_autoincrement": True},)
