"""How a refusal is told to the person who typed the command: one sentence with a way on."""

from __future__ import annotations

from tokensrv.domain.scopes import ADMIN_ONLY, BUILT_IN
from tokensrv.errors import (
    AlreadyRevoked,
    Invalid,
    LifetimeExceeded,
    NotFound,
    NotNarrower,
    StorageUnavailable,
    Taken,
    TokensrvError,
)

_WAYS_ON = {
    "allowed_ips": "give up to 32 addresses and networks, such as 192.0.2.7 and 10.0.0.0/8",
    "audience": "`tokensrv client list` shows the client ids",
    "client_id": "`tokensrv client list` shows the client ids",
    "description": "it may have 255 characters",
    "email": "give an address such as alice@example.com",
    "expires_at": "it must be a day after today (UTC)",
    "name": "give 1 to 255 characters",
    "prefix": "give whole segments of a path, such as team/app, or / for everything",
    "scopes": (
        f"choose from {', '.join(BUILT_IN)} and the setting TOKENSRV_EXTRA_SCOPES;"
        f" {' and '.join(sorted(ADMIN_ONLY))} are for admins alone"
    ),
    "username": "it has letters, digits and _ . - and is not a number",
}
# The groups that are not called like what they are about.
_GROUPS = {"Rule": "gate rule"}


def sentence(error: TokensrvError) -> str:
    """Return what happened and, where it is known, what to do."""
    parts = [str(error).rstrip("."), _way_on(error)]
    return "; ".join(part for part in parts if part) + "."


def _way_on(error: TokensrvError) -> str:
    match error:
        case Invalid():
            return _WAYS_ON.get(error.field, "")
        case NotFound():
            group = _GROUPS.get(error.kind, error.kind.lower())
            return f"`tokensrv {group} list` shows what there is"
        case Taken():
            return "choose another"
        case StorageUnavailable():
            return "`tokensrv config show` names the database"
        case LifetimeExceeded():
            return "that day itself is allowed"
        case AlreadyRevoked() | NotNarrower():
            return "create a new one with `tokensrv token create`"
        case _:
            return ""
