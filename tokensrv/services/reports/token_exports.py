"""Exports of tokens: as CSV, one token a line, with all that may be told of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from tokensrv.clock import isoformat
from tokensrv.services.records import TokenRecord
from tokensrv.services.reports import spreadsheets
from tokensrv.services.reports.inventory import Entry

COLUMNS: Final = ("owner", *(column.name for column in fields(TokenRecord)))


def csv_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """Return the names of the columns and each token as a line; words are parted by blanks."""
    return spreadsheets.lines(COLUMNS, map(_row, entries))


def _row(entry: Entry) -> Iterator[Any]:
    yield entry.owner
    for name in COLUMNS[1:]:
        yield _cell(getattr(entry.token, name))


def _cell(value: Any) -> Any:
    if isinstance(value, tuple):
        return " ".join(value)
    return isoformat(value) if isinstance(value, datetime) else value
