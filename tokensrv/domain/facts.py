"""Facts: what the hot read brings back, as values.

These are the only things that the decisions (``domain.caller``, ``domain.introspection``) are
made of. Moments are whole milliseconds since the epoch, as they are stored, and the values are
named tuples, which cost a third of a frozen dataclass to make: this is the hottest path of the
service.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class UserState(StrEnum):
    """The states of a user; only an active one can do anything."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    DEACTIVATED = "deactivated"
    BANNED = "banned"


class TokenKind(StrEnum):
    """The kinds of tokens."""

    PERSONAL = "personal"
    IMPERSONATION = "impersonation"
    EXCHANGED = "exchanged"


class UserFacts(NamedTuple):
    """A user as a decision sees him."""

    id: int
    username: str
    state: str
    is_admin: bool


class TokenFacts(NamedTuple):
    """A token as a decision sees it; ``expires_ms`` None: it never expires."""

    id: int
    kind: str
    user_id: int
    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    created_ms: int
    expires_ms: int | None
    is_revoked: bool
    # Addresses and networks that it may be used from; empty: from anywhere.
    allowed_ips: tuple[str, ...] = ()

    def is_expired(self, now_ms: int) -> bool:
        """Return whether its moment has come; at that very moment it is dead."""
        return self.expires_ms is not None and now_ms >= self.expires_ms


class ExchangeFacts(NamedTuple):
    """Where an exchanged token comes from, and what it stands and falls with.

    ``source_owner`` is the actor, or, for a token that was only made narrower, the owner.
    """

    source: TokenFacts
    source_owner: UserFacts
    has_actor: bool
    client_id: str
    reason: str | None


class ClientFacts(NamedTuple):
    """A client as a decision sees it; ``scopes`` None: it may see every scope."""

    id: int
    client_id: str
    secret_digests: tuple[bytes, ...]
    is_disabled: bool
    scopes: tuple[str, ...] | None
    allow: tuple[str, ...]
    auth_methods: tuple[str, ...] = ()
    # Its public keys as the text of a JWK set, which few questions need parsed; None: no keys.
    jwks: str | None = None
    introspection_signed_response_alg: str = "RS256"


# Somebody who asks with a token in place of a client: as one that was allowed nothing by name,
# is in no audience, and has no limit.
NAMELESS: Final = ClientFacts(0, "", (), is_disabled=False, scopes=None, allow=())


class Facts(NamedTuple):
    """One consistent answer of the lookup; None: there is no such row."""

    client: ClientFacts | None = None
    token: TokenFacts | None = None
    owner: UserFacts | None = None
    target: UserFacts | None = None
    # Of an exchanged token only.
    exchange: ExchangeFacts | None = None
