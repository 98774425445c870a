"""SSH keys as people have them, and as they were added."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tokensrv.db import Store
from tokensrv.services.keys import ssh_key_minting
from tokensrv.services.keys.ssh_key_minting import KeyWish
from tokensrv.services.keys.ssh_keys import KeyRecord
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE


def new_line(comment: str = "alice@laptop") -> str:
    """Return the line of the public half of a new key pair."""
    public = Ed25519PrivateKey.generate().public_key()
    return f"{public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()} {comment}"


def make_ssh_key(store: Store, user: UserRecord, line: str = "", **wanted: Any) -> KeyRecord:
    """Return a new key of a user, added on the command line."""
    wish = KeyWish(key=line or new_line(), **wanted)
    return ssh_key_minting.add(store, COMMAND_LINE, user.id, wish)
