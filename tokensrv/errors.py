"""The errors that tokensrv raises on purpose, drawn as one tree.

    TokensrvError
    ├── ConfigError             a setting is unknown or wrong; nothing was started
    ├── StorageUnavailable      the database is away, locked or too slow: never guess
    ├── KeyUnavailable          a key that is needed is missing or cannot be opened
    ├── SchemaMismatch          the database's schema is older or newer than the code
    ├── Invalid                 a value was refused; names the field and the problem
    │   └── InvalidRecord       ... because of what the record as a whole must be
    ├── LifetimeExceeded        an expiry lies beyond the last allowed day
    ├── NotNarrower             a change would have widened a token
    ├── NotFound                no such user, token or client
    ├── Taken                   a username or e-mail belongs to somebody else
    ├── Stale                   the record was changed after the moment that was named
    ├── SentTwice               a form that has made something already was sent again
    ├── Forbidden               the caller may not do this
    │   └── ScopesNotHeld       ... because scopes are missing; names them
    ├── AlreadyRevoked          a revoked token cannot be rotated
    └── domain.caller.Refused   the credential or the sudo was refused; carries why

An expected "no" of a decision is a value (``domain.caller.Refusal``); these are for what a
verb promised and could not keep. How an error looks on the wire is decided in ``http.errors``.
"""

from __future__ import annotations

from datetime import date


class TokensrvError(Exception):
    """Base of everything that tokensrv raises on purpose; ``str()`` is one sentence."""


class ConfigError(TokensrvError):
    """A setting is unknown or has a wrong value."""


class StorageUnavailable(TokensrvError):
    """The database did not answer within the storage time limit."""

    def __init__(self, message: str = "The database is not available, try again.") -> None:
        super().__init__(message)


class KeyUnavailable(TokensrvError):
    """The master key is missing, or a signing key cannot be opened with it; says which and why."""


class SchemaMismatch(TokensrvError):
    """The schema of the database is not the one this code was written for."""


class Invalid(TokensrvError):
    """A value was refused: ``field`` and ``problem`` (``is missing``, ``is invalid``, ...)."""

    def __init__(self, field: str, problem: str = "is invalid") -> None:
        super().__init__(f"{field} {problem}")
        self.field = field
        self.problem = problem


class InvalidRecord(Invalid):
    """A value was refused because of what a user (or another record) must be.

    GitLab's API answers these in another shape than a parameter that makes no sense at all.
    """


class KeyTaken(InvalidRecord):
    """An SSH key is there already, whoever's it is."""

    def __init__(self) -> None:
        super().__init__("key", "has already been taken")


class LifetimeExceeded(TokensrvError):
    """The expiry lies beyond ``last_day``, which itself is allowed."""

    def __init__(self, last_day: date) -> None:
        # GitLab's wording: the day named is still allowed.
        super().__init__(f"Expiration date must be before {last_day.isoformat()}")
        self.last_day = last_day


class NotNarrower(TokensrvError):
    """A token can only be narrowed: fewer scopes, an earlier expiry, fewer clients, places."""

    def __init__(self) -> None:
        super().__init__("A token can only be narrowed")


class NotFound(TokensrvError):
    """Nothing of this ``kind`` (``User``, ``Token``, ``Client``) has this name or id."""

    def __init__(self, kind: str, reference: object = "") -> None:
        super().__init__(f"{kind} {reference} was not found".replace("  ", " "))
        self.kind = kind


class Taken(TokensrvError):
    """``field`` (``Username`` or ``Email``) already belongs to another user."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} has already been taken")
        self.field = field


class Stale(TokensrvError):
    """The record was changed after the moment that the caller named."""

    def __init__(self) -> None:
        super().__init__("The record was changed in the meantime")


class SentTwice(TokensrvError):
    """A form was sent again that has made something already; nothing more was made."""

    def __init__(self) -> None:
        super().__init__("This form was sent twice")


class Forbidden(TokensrvError):
    """The caller may not do this; ``reason`` may be shown to him and may be empty."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or "This is not allowed.")
        self.reason = reason


class ScopesNotHeld(Forbidden):
    """The calling token does not hold ``missing``."""

    def __init__(self, missing: tuple[str, ...]) -> None:
        super().__init__(f"The calling token does not hold: {' '.join(missing)}")
        self.missing = missing


class AlreadyRevoked(TokensrvError):
    """A revoked token cannot be rotated or changed."""

    def __init__(self) -> None:
        super().__init__("Token already revoked")
