"""The tables of SSH: the public keys of users, and with which token a connection began."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from tokensrv.db import Base, Moment
from tokensrv.db.base import Id


class SshKey(Base):
    """A public key with which its user reaches Git. Ids never come back."""

    __tablename__ = "ssh_key"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(255))
    # As OpenSSH writes it, without the comment: `ssh-ed25519 AAAA...`.
    key: Mapped[str] = mapped_column(Text)
    # SHA-256 of the key: one key names one user.
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime] = mapped_column(Moment)
    # NULL: never expires. Otherwise the first moment at which it is dead.
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    # NULL: never used.
    last_used_at: Mapped[datetime | None] = mapped_column(Moment)

    __table_args__ = (
        CheckConstraint("length(fingerprint) = 32", name="fingerprint"),
        Index("ix_ssh_key_user_id_id", "user_id", "id"),
        {"sqlite_autoincrement": True},
    )


class SshLogin(Base):
    """A connection that a token in place of a password has opened, until it is old."""

    __tablename__ = "ssh_login"

    # A digest of what names the connection on its machine.
    connection: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    token_id: Mapped[int] = mapped_column(ForeignKey("token.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = (
        CheckConstraint("length(connection) = 32", name="connection"),
        Index("ix_ssh_login_token_id", "token_id"),
        Index("ix_ssh_login_created_at", "created_at"),
    )
