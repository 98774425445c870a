"""Exports of events: as JSON Lines and as CSV, one event a line.

JSON Lines hold everything that the hashes cover, so that a chain can be verified from them alone
(``domain.chain``). CSV is for spreadsheets: what they would run as a formula is shown as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from typing import Any, Final

from tokensrv.clock import isoformat
from tokensrv.services.records import EventRecord
from tokensrv.services.reports import spreadsheets

COLUMNS: Final = tuple(column.name for column in fields(EventRecord))


def as_object(event: EventRecord) -> dict[str, Any]:
    """Return an event as it is shown in JSON: all its columns."""
    return asdict(event) | {"at": isoformat(event.at)}


def json_lines(events: Iterable[EventRecord]) -> Iterator[str]:
    """Yield each event as a line of JSON."""
    for event in events:
        yield json.dumps(as_object(event), ensure_ascii=False, separators=(",", ":")) + "\n"


def csv_lines(events: Iterable[EventRecord]) -> Iterator[str]:
    """Return the names of the columns and each event as a line of CSV; ``data`` is JSON in it."""
    return spreadsheets.lines(COLUMNS, (as_object(event).values() for event in events))
