"""Eviction: which facts an event has changed, and so which entries of a cache it ends.

A pure function of the event. What is not known here, such as the event of a newer version, ends
everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

# They change nothing that anybody has read before.
_HARMLESS: Final = frozenset(
    {
        "client.created",
        "feed.made",
        "feed.revoked",
        "gate.counted",
        "gate.refused",
        "impersonation.started",
        "impersonation.stopped",
        "instance.initialised",
        "key.created",
        "key.rotated",
        "passkey.added",
        "passkey.removed",
        "password_reset.made",
        "recovery_code.used",
        "recovery_codes.made",
        "repository_rule.added",
        "repository_rule.removed",
        "second_factor.reset",
        "session.ended",
        "ssh_key.added",
        "ssh_key.removed",
        "sudo.counted",
        "sudo.refused",
        "sudo.used",
        "token.created",
        "token.exchanged",
        "token.pruned",
        "totp.added",
        "totp.removed",
        "user.created",
        "user.password_set",
        "user.signed_in",
    }
)


class Whole(Enum):
    """What has no name: nothing at all, or everything."""

    NOTHING = "nothing"
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True)
class OfClient:
    """Everything that this client, by its public id, has asked."""

    client_id: str


@dataclass(frozen=True, slots=True)
class OfUser:
    """Everything that depends on this user; with ``token_ids`` what depends on these tokens too."""

    user_id: int
    token_ids: frozenset[int] | None = None


Ended = Whole | OfClient | OfUser


def is_harmless(action: str) -> bool:
    """Return whether no cache needs to hear of it."""
    return action in _HARMLESS


def ended(action: str, *, token_id: int | None, client_id: str | None, data: object) -> Ended:
    """Return what an event ends; ``data`` is a mapping, or of a version that is not known here."""
    if is_harmless(action):
        return Whole.NOTHING
    if not isinstance(data, Mapping):
        return Whole.EVERYTHING
    kind, user_id = action.partition(".")[0], data.get("user_id")
    if kind == "client" and client_id is not None:
        return OfClient(client_id)
    if kind == "user" and isinstance(user_id, int):
        return OfUser(user_id)
    also = data.get("revoked", [])
    if kind == "token" and isinstance(user_id, int) and token_id and isinstance(also, list):
        return OfUser(user_id, frozenset([token_id, *also]))
    return Whole.EVERYTHING
