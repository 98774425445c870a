"""Gates: where a token opens something that is not tokensrv's own, and what stops it there.

A gate asks what introspection asks (``domain.introspection.judge``) and a little more. Which
answer that becomes is the business of each gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tokensrv.domain.caller import Caller, Check, Refusal
from tokensrv.domain.facts import NAMELESS, TokenFacts, UserFacts
from tokensrv.domain.introspection import Judgement, Verdict
from tokensrv.domain.scopes import passed_on


class Gate(StrEnum):
    """The gates; the value names one in events and metrics."""

    AUTH = "auth"
    GIT = "git"
    SSH = "ssh"
    REGISTRY = "registry"


class Obstacle(StrEnum):
    """What stops somebody at gates alone; the rest is ``Check``."""

    # Nothing was presented. It is no refusal, it is how a client learns that he must.
    ANONYMOUS = "anonymous"
    # What was presented cannot be read, or two things that differ were.
    CREDENTIALS = "credentials"
    # What is asked for cannot be told for certain.
    REQUEST = "request"
    PASSWORD = "password"  # noqa: S105  # a check, no secret
    PASSWORD_EXPIRED = "password_expired"  # noqa: S105  # a check, no secret
    SECOND_FACTOR = "second_factor"
    RULE = "rule"
    # What is to be made would outlive what it may.
    LIFETIME = "lifetime"
    TOO_MANY = "too_many"


# Who they are is known, or does not matter: other credentials would not help.
_FORBIDDEN: Final = frozenset(
    {Check.WANTED, Obstacle.REQUEST, Obstacle.RULE, Obstacle.LIFETIME, Obstacle.TOO_MANY}
)

# A gate asks in its own name, which no audience holds, and for whoever may sudo.
ASKING: Final = NAMELESS._replace(allow=("sudo",))


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody is let in; ``caller.token`` None: with the password of his account."""

    caller: Caller


@dataclass(frozen=True, slots=True)
class NoEntry:
    """Somebody is not let in, and as much of why as stands in the log."""

    check: Check | Obstacle
    token: TokenFacts | None = None
    user: UserFacts | None = None
    is_sudo: bool = False
    missing: tuple[str, ...] = ()
    retry_after_seconds: int = 0
    # As whom he acts, where that is another one than the user.
    subject: UserFacts | None = None

    @property
    def is_forbidden(self) -> bool:
        """Return whether it is 403; otherwise it is 401, and another credential may do."""
        return self.is_sudo or self.check in _FORBIDDEN

    @classmethod
    def by(cls, refusal: Refusal) -> NoEntry:
        """Return the no that a decision about a token became."""
        return cls(
            refusal.check,
            refusal.token,
            refusal.actor,
            refusal.is_sudo,
            missing=refusal.missing,
            subject=refusal.target,
        )

    @classmethod
    def after(cls, entry: Entry, check: Check | Obstacle, missing: tuple[str, ...] = ()) -> NoEntry:
        """Return the no to somebody whose credential is good: this opens something else."""
        caller = entry.caller
        return cls(check, caller.token, caller.actor, missing=missing, subject=caller.subject)


def opens(judgement: Judgement) -> Judgement:
    """Return the judgement, a refusal of what opens nothing whatever stands behind a gate.

    Such are ``sudo``, ``introspect`` and ``self_rotate``. A token that holds ``sudo`` alone is good
    for acting as somebody else: when the header that says so is lost on its way, it must open
    nothing.
    """
    if isinstance(judgement, Verdict) and not passed_on(judgement.caller.scopes):
        caller = judgement.caller
        return Refusal(Check.WANTED, judgement.token, caller.actor, target=caller.subject)
    return judgement
