"""Records: the values that leave storage.

A secret has one carrier, ``NewToken`` or ``NewClient``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Any, TypeVar

from tokensrv.db import Base
from tokensrv.models import Client, Event, Token, User


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """A token as it may be shown: never its secret, never its digest."""

    id: int
    kind: str
    user_id: int
    name: str
    description: str | None
    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    allowed_ips: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    is_active: bool
    last_used_at: datetime | None
    last_used_ips: tuple[str, ...]
    previous_id: int | None
    # Of an exchanged token only: what it came out of, who acts, through which client, and why.
    source_id: int | None
    actor_id: int | None
    exchanged_by: str | None
    reason: str | None

    @property
    def expires_on(self) -> date | None:
        """Return the day at whose 00:00 UTC it dies, None for a token without end."""
        return None if self.expires_at is None else self.expires_at.date()

    @property
    def is_revoked(self) -> bool:
        """Return whether it was revoked."""
        return self.revoked_at is not None


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made: the one place where its secret exists."""

    record: TokenRecord
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRecord:
    """A user as he may be shown; ``created_by`` None: made by the command line."""

    id: int
    username: str
    email: str
    name: str
    state: str
    is_admin: bool
    created_at: datetime
    updated_at: datetime
    created_by_id: int | None
    last_activity_at: datetime | None
    note: str | None
    bio: str
    location: str | None
    organization: str
    job_title: str
    website_url: str
    public_email: str
    external: bool
    private_profile: bool
    has_password: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRecord:
    """A client as it may be shown; ``scopes`` None: it may see all, ``jwks`` None: no keys."""

    client_id: str
    name: str
    description: str
    is_disabled: bool
    auth_methods: tuple[str, ...]
    scopes: tuple[str, ...] | None
    allow: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    jwks: dict[str, Any] | None
    introspection_signed_response_alg: str


@dataclass(frozen=True, slots=True)
class NewClient:
    """A client with a new secret: the one place where it exists. None: it uses no secret."""

    record: ClientRecord
    secret: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """One row of the event log."""

    seq: int
    at: datetime
    action: str
    actor_id: int | None
    actor: str | None
    subject_id: int | None
    subject: str | None
    token_id: int | None
    client_id: str | None
    ip: str | None
    request_id: str | None
    reason: str | None
    data: dict[str, Any]
    prev_hash: str
    hash: str


Record = TypeVar("Record", TokenRecord, UserRecord, ClientRecord, EventRecord)


def token_record(row: Token, now: datetime) -> TokenRecord:
    """Return a token's row as a value, judged at ``now``."""
    return _record(TokenRecord, row, is_active=row.is_active(now))


def user_record(row: User) -> UserRecord:
    """Return a user's row as a value, without his password hash."""
    return _record(UserRecord, row, has_password=row.password_hash is not None)


def client_record(row: Client) -> ClientRecord:
    """Return a client's row as a value, without its digests."""
    return _record(ClientRecord, row, is_disabled=row.disabled_at is not None)


def event_record(row: Event) -> EventRecord:
    """Return an event's row as a value."""
    return _record(EventRecord, row)


def _record(kind: type[Record], row: Base, **judged: Any) -> Record:
    """Return what a record shows of a row: its columns of the same name, and what was judged."""
    shown: dict[str, Any] = {
        column.name: getattr(row, column.name)
        for column in fields(kind)
        if column.name not in judged
    }
    return kind(**shown, **judged)
