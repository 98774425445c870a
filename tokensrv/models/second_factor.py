"""The tables of second factors: what a user proves beside his password."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from tokensrv.db import Base, Moment, Words
from tokensrv.db.base import Id


class Totp(Base):
    """A user's authenticator app (RFC 6238), one at most."""

    __tablename__ = "totp"

    user_id: Mapped[int] = mapped_column(
        ForeignKey("user.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    # The shared secret, sealed under the master key: it is needed in the clear, unlike a token's.
    secret_encrypted: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
    # NULL: its user has not yet shown that his app has it, so it is not asked for.
    confirmed_at: Mapped[datetime | None] = mapped_column(Moment)
    # The time step of the last code that was taken: no code counts twice.
    last_step: Mapped[int] = mapped_column(BigInteger, server_default="0")


class Passkey(Base):
    """A public key that a user's device holds the private half of (WebAuthn)."""

    __tablename__ = "passkey"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    credential_id: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    transports: Mapped[tuple[str, ...]] = mapped_column(Words, server_default="")
    name: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(Moment)
    # NULL: never used.
    last_used_at: Mapped[datetime | None] = mapped_column(Moment)

    __table_args__ = (
        Index("ix_passkey_user_id", "user_id"),
        {"sqlite_autoincrement": True},
    )


class RecoveryCode(Base):
    """A code that stands in once for a lost device. It is random, so a plain digest is enough."""

    __tablename__ = "recovery_code"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)

    __table_args__ = (
        CheckConstraint("length(digest) = 32", name="digest"),
        Index("ix_recovery_code_user_id", "user_id"),
        {"sqlite_autoincrement": True},
    )
