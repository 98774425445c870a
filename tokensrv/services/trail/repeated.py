"""Repeated: what counts as the same within a minute, and what is true of all of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tokensrv.services.trail.events import NewEvent, Origin

# So much that somebody known is refused is told apart within a minute.
MANY_KINDS: Final = 20
# What stands in the key as well.
_OF_ALL: Final = frozenset({"gate", "check"})


@dataclass(frozen=True, slots=True)
class Repeated:
    """What is counted instead of written again: the same key within one minute."""

    action: str
    token_id: int | None
    # As whom somebody acts, or who is turned away.
    user_id: int | None
    client_id: str | None
    check: str | None = None
    # From where it came, where that is told apart.
    network: str | None = None
    # All else that an event says, where each is told by itself; None: it is one whatever it says.
    what: tuple[str, ...] | None = None

    def shared(self, origin: Origin, event: NewEvent) -> tuple[Origin, NewEvent]:
        """Return what may be told of all of them together, once the first stood in the log.

        In which they differ is told of none: it would be said of the wrong one.
        """
        if self.what is not None:
            return origin, event
        data = {name: said for name, said in event.data.items() if name in _OF_ALL}
        is_one = event.subject is None or event.subject.id == self.user_id
        subject = event.subject if is_one else event.actor
        is_one_place = self.network is not None or self.client_id is not None
        place = replace(origin, ip=origin.ip if is_one_place else None, request_id=None)
        return place, replace(event, subject=subject, reason=None, data=data)
