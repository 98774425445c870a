"""Visit: what somebody wants at a gate; whether he gets it is decided elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from tokensrv.domain.caller import InvalidSudo, SudoAsk
from tokensrv.domain.gates import Gate
from tokensrv.domain.introspection import Question
from tokensrv.services.trail.events import Origin


@dataclass(frozen=True, slots=True)
class Visit:
    """What somebody wants at a gate, and from where.

    ``method`` and ``path`` are what he asks of whatever stands behind it, for the record; the path
    has no query, which may hold a secret. ``scopes``: all of them must be held.
    """

    gate: Gate
    origin: Origin
    method: str = ""
    path: str = ""
    ask: SudoAsk | InvalidSudo | None = None
    scopes: tuple[str, ...] = ()

    @property
    def question(self) -> Question:
        """Return what is asked about the token."""
        return Question(self.ask, self.scopes, self.origin.ip)
