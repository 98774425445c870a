"""The hash chain of the event log: how the hash of a row is computed.

Anybody can recompute it from an export with nothing but SHA-256 and a JSON library.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

FIRST_HASH = "0" * 64

COLUMNS = (
    "seq",
    "at",
    "action",
    "actor_id",
    "actor",
    "subject_id",
    "subject",
    "token_id",
    "client_id",
    "ip",
    "request_id",
    "reason",
    "data",
    "prev_hash",
)


def row_hash(values: Sequence[Any]) -> str:
    """Return the SHA-256 hex of the values of ``COLUMNS``, in that order.

    ``at`` is given as ISO 8601 with milliseconds and ``Z``, ``data`` as the object itself.
    """
    return hashlib.sha256(_json(values).encode()).hexdigest()


def middle(values: Sequence[Any]) -> str:
    """Return the hashed text between ``seq`` and ``prev_hash``, which may not be known yet.

    With them it is ``[seq,middle,"prev_hash"]``, so whoever knows them last can make the hash.
    """
    return _json(values[1:-1])[1:-1]


def _json(values: Sequence[Any]) -> str:
    return json.dumps(list(values), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
