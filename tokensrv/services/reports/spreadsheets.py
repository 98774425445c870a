"""Spreadsheets: rows as CSV (RFC 4180), in which nothing that somebody chose is a formula."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

# What makes a formula of a cell (OWASP, "CSV Injection"): a sign, narrow or full-width, since some
# trim the blanks before it, and since some part cells at what is no comma in the middle as well.
_FORMULA: Final = re.compile(r"(^|[;\t\r\n])(\s*[=+\-@\uff1d\uff0b\uff0d\uff20])|^(?=[\t\r\n])")


def lines(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Yield the names of the columns and each row as a line, while the rows are taken.

    A dictionary is JSON within its cell, and an apostrophe stands before what could be a formula.
    """
    writer = csv.writer(_Lines())
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow(map(_cell, row))


class _Lines:
    """A file whose ``write`` gives back what the writer wrote, one line a row."""

    def write(self, line: str) -> str:
        return line


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _FORMULA.sub(r"\1'\2", value) if isinstance(value, str) else value
