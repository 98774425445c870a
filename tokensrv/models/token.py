"""The table of tokens."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from tokensrv.clock import to_ms
from tokensrv.db import Base, Moment, Words
from tokensrv.db.base import Id, NullFirst
from tokensrv.domain.facts import ExchangeFacts, TokenFacts, TokenKind, UserFacts


def _of_present(column: str) -> Index:
    """Return an index of the rows in which the column is not NULL."""
    present = text(f"{column} IS NOT NULL")
    return Index(f"ix_token_{column}", column, sqlite_where=present, postgresql_where=present)


class Token(Base):
    """A token as it is recorded: everything but its secret. Ids never come back."""

    __tablename__ = "token"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    # SHA-256 of the secret: what is looked up.
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    name: Mapped[str] = mapped_column(String(255))
    # NULL: none was given.
    description: Mapped[str | None] = mapped_column(String(255))
    scopes: Mapped[tuple[str, ...]] = mapped_column(Words)
    # Client ids; empty: for any client.
    audience: Mapped[tuple[str, ...]] = mapped_column(Words, server_default="")
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)
    # NULL: never expires. Otherwise the first moment at which it is dead.
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    # NULL: not revoked.
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)
    # NULL: never used.
    last_used_at: Mapped[datetime | None] = mapped_column(Moment)
    # The five latest distinct addresses, the latest last.
    last_used_ips: Mapped[tuple[str, ...]] = mapped_column(Words, server_default="")
    # NULL: not made by rotation, or the token before it was pruned.
    previous_id: Mapped[int | None] = mapped_column(ForeignKey("token.id", ondelete="SET NULL"))
    # The four of an exchanged token; NULL in every other one. It dies with its source.
    source_id: Mapped[int | None] = mapped_column(ForeignKey("token.id", ondelete="CASCADE"))
    # Who acts as the owner; NULL: the owner himself, with a narrower token.
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    # The public client id of the client that exchanged it.
    exchanged_by: Mapped[str | None] = mapped_column(String(64))
    # Why, as the actor said it; NULL: he gave no reason.
    reason: Mapped[str | None] = mapped_column(Text)
    # Addresses and networks that it may be used from; empty: from anywhere.
    allowed_ips: Mapped[tuple[str, ...]] = mapped_column(Words, server_default="")

    __table_args__ = (
        CheckConstraint("kind IN ('personal', 'impersonation', 'exchanged')", name="kind"),
        CheckConstraint("(kind = 'exchanged') = (source_id IS NOT NULL)", name="source"),
        CheckConstraint("length(digest) = 32", name="digest"),
        CheckConstraint("scopes <> ''", name="scopes"),
        Index("ix_token_user_id_id", "user_id", "id"),
        # What lists are sorted by, one for both directions; more of them stand below.
        Index("ix_token_created_at_id", "created_at", "id"),
        Index("ix_token_name_id", "name", "id"),
        # What few tokens have: the others are not in these, and cost nothing.
        _of_present("previous_id"),
        _of_present("source_id"),
        _of_present("actor_id"),
        {"sqlite_autoincrement": True},
    )

    def facts(self) -> TokenFacts:
        """Return this token as the decisions see it."""
        return TokenFacts(
            id=self.id,
            kind=self.kind,
            user_id=self.user_id,
            scopes=self.scopes,
            audience=self.audience,
            created_ms=to_ms(self.created_at),
            expires_ms=None if self.expires_at is None else to_ms(self.expires_at),
            is_revoked=self.revoked_at is not None,
            allowed_ips=self.allowed_ips,
        )

    def exchange_facts(self, source: Token, source_owner: UserFacts) -> ExchangeFacts:
        """Return where this exchanged token comes from, given the rows of its source."""
        return ExchangeFacts(
            source=source.facts(),
            source_owner=source_owner,
            has_actor=self.actor_id is not None,
            client_id=self.exchanged_by or "",
            reason=self.reason,
        )

    @property
    def expires_on(self) -> date | None:
        """Return the day at whose 00:00 UTC it dies, None for a token without end."""
        return None if self.expires_at is None else self.expires_at.date()

    @property
    def is_revoked(self) -> bool:
        """Return whether it was revoked."""
        return self.revoked_at is not None

    @property
    def is_exchanged(self) -> bool:
        """Return whether it came out of a token exchange, and depends on its source."""
        return self.kind == TokenKind.EXCHANGED

    @property
    def is_impersonation(self) -> bool:
        """Return whether an admin made it to act as its owner, hidden from him."""
        return self.kind == TokenKind.IMPERSONATION

    def is_active(self, now: datetime) -> bool:
        """Return whether it is neither revoked nor expired; its owner's state is not looked at."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


# What lists are sorted and tokens are pruned by.
Index("ix_token_expires_at_id", NullFirst(Token.expires_at), Token.id)
Index("ix_token_last_used_at_id", NullFirst(Token.last_used_at), Token.id)
Index(
    "ix_token_revoked_at_id",
    NullFirst(Token.revoked_at),
    Token.id,
    sqlite_where=Token.revoked_at.is_not(None),
    postgresql_where=Token.revoked_at.is_not(None),
)
