"""JSON bodies: one object, read strictly, with a key given twice still visible."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from tokensrv.http.answers import unreadable_body

Pairs = list[tuple[str, Any]]


class _Object(dict[str, Any]):
    """An object that still knows every pair it was written with."""

    def __init__(self, pairs: Pairs) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def read(body: bytes) -> Pairs:
    """Return the pairs of the outermost object, a repeated key as often as it was written.

    Raises ApiError (400) for anything else: no UTF-8, no object, NaN and infinities, numbers
    and nestings beyond what Python reads.
    """
    try:
        found = json.loads(
            body.decode(),
            object_pairs_hook=_Object,
            parse_constant=_refuse,
            parse_float=_finite,
        )
    except (ValueError, RecursionError):
        raise unreadable_body() from None
    if not isinstance(found, _Object):
        raise unreadable_body()
    return found.pairs


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is out of range")
    return number
