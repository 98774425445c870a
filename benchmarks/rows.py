"""Rows: what a seeded user and a seeded token look like, each from its number alone.

They are rows as they are stored: moments in milliseconds, words separated by blanks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from tokensrv.domain.facts import TokenKind, UserState
from tokensrv.domain.secret import digest

TOKENS_A_USER: Final = 20
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
# The oldest token was made so long ago, the youngest so long that a short one has expired.
_OLDEST_DAYS, _YOUNGEST_DAYS = 330, 31
_LONG_DAYS, _SHORT_DAYS, _UNTIL_REVOKED_DAYS = 365, 30, 10
_SCOPES: Final = (
    "api",
    "read_api",
    "read_user",
    "read_repository write_repository",
    "read_registry",
    "api read_repository",
    "read_api self_rotate",
)
_NAMES: Final = ("laptop", "deploy", "backup", "editor")


def kind_of(index: int) -> TokenKind:
    """Return the kind of a token: each fiftieth is an admin's, each twentieth was exchanged."""
    if index % 50 == 24:
        return TokenKind.IMPERSONATION
    return TokenKind.EXCHANGED if index % 20 == 13 else TokenKind.PERSONAL


def is_active(index: int) -> bool:
    """Return whether a token is active and so is its owner: about three of four are."""
    is_dead = index % 10 > 7 or kind_of(index) is TokenKind.EXCHANGED
    return not is_dead and not _is_blocked(index // TOKENS_A_USER)


def _is_blocked(number: int) -> bool:
    return number % 100 == 99


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows around one moment, of ``tokens`` in all, each id its number plus an offset."""

    USER_COLUMNS: ClassVar = (
        *("id", "username", "username_key", "email", "email_key", "name", "state"),
        *("created_at", "updated_at"),
    )
    TOKEN_COLUMNS: ClassVar = (
        *("id", "kind", "user_id", "digest", "name", "scopes", "created_at", "updated_at"),
        *("expires_at", "revoked_at", "last_used_at", "last_used_ips"),
        *("source_id", "exchanged_by"),
    )

    now_ms: int
    tokens: int
    user_offset: int
    token_offset: int

    def user(self, number: int, username: str) -> tuple[Any, ...]:
        """Return the row of a user."""
        email = f"{username}@seed.invalid"
        state = UserState.BLOCKED if _is_blocked(number) else UserState.ACTIVE
        created = self._created(number * TOKENS_A_USER)
        return (
            *(number + self.user_offset, username, username, email, email),
            *(f"User {number}", state.value, created, created),
        )

    def token(self, index: int, secret: str) -> tuple[Any, ...]:
        """Return the row of a token."""
        kind, created = kind_of(index), self._created(index)
        is_exchanged = kind is TokenKind.EXCHANGED
        revoked = created + _UNTIL_REVOKED_DAYS * _DAY_MS if index % 10 == 9 else None
        used = self._used(index, created)
        token_id = index + self.token_offset
        return (
            *(token_id, kind.value, index // TOKENS_A_USER + self.user_offset, digest(secret)),
            f"ci-{index}" if index % 2 else _NAMES[index // 2 % len(_NAMES)],
            *(_SCOPES[index % len(_SCOPES)], created, revoked or created),
            *(self._expiry(index, created), revoked, used),
            "" if used is None else f"192.0.2.{index % 250}",
            # It came out of the token before it, which is the same owner's.
            *((token_id - 1, "seed") if is_exchanged else (None, None)),
        )

    def _created(self, index: int) -> int:
        """Return when it was made: in the order of the ids, evenly over most of a year."""
        span = (_OLDEST_DAYS - _YOUNGEST_DAYS) * _DAY_MS
        return self.now_ms - _OLDEST_DAYS * _DAY_MS + span * index // self.tokens

    def _expiry(self, index: int, created: int) -> int | None:
        if kind_of(index) is TokenKind.EXCHANGED:
            return created + _HOUR_MS
        # Two of ten never expire, one has expired.
        if index % 10 in (6, 7):
            return None
        days = _SHORT_DAYS if index % 10 == 8 else _LONG_DAYS
        return (created // _DAY_MS + days) * _DAY_MS

    def _used(self, index: int, created: int) -> int | None:
        if index % 3 == 0:
            return None
        if not is_active(index):
            return created + _HOUR_MS // 2
        # Spread over the last month, and no order of the ids.
        return self.now_ms - index * 7_919_003 % (_SHORT_DAYS * _DAY_MS)
