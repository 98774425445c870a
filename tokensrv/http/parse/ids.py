"""Ids: numbers in paths and parameters, however long somebody writes them."""

from __future__ import annotations

import re
from typing import Final

# The largest id that is looked for: no record ever has it, every database can compare it.
BEYOND_IDS: Final = 10**18

_DIGITS: Final = re.compile(r"[0-9]+", re.ASCII)


def read_whole(value: object) -> int | None:
    """Return a number that is not negative, None for what is none.

    Numbers beyond ``BEYOND_IDS`` become that one.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value)
    if not _DIGITS.fullmatch(text):
        return None
    significant = text.lstrip("0") or "0"
    return int(significant) if len(significant) <= 18 else BEYOND_IDS
