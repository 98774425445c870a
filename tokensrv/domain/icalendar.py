"""iCalendar: days on which something is to be done, as calendars read them (RFC 5545).

Pure text; it knows nothing of what the days are about.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from tokensrv.domain.texts import plain

# RFC 5545 §3.1: the longest line, in bytes, its line break not counted.
_LINE_BYTES: Final = 75
_PRODUCT: Final = "-//tokensrv//expiry dates//EN"
_MEANINGFUL: Final = re.compile(r"[\\;,]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something to be done on a day; calendars know it again by its ``uid``."""

    uid: str
    day: date
    title: str
    text: str
    url: str
    # When it was last changed, in UTC.
    stamp: datetime
    # So many days ahead calendars remind of it.
    remind_days: int


def calendar(name: str, entries: Iterable[Entry]) -> bytes:
    """Return a calendar of these entries, each of them all day long."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:{_PRODUCT}",
        "METHOD:PUBLISH",
        f"X-WR-CALNAME:{_escaped(name)}",
        *(line for entry in entries for line in _lines(entry)),
        "END:VCALENDAR",
    ]
    return b"".join(_folded(line) for line in lines)


def _lines(entry: Entry) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{entry.uid}"
    yield f"DTSTAMP:{entry.stamp:%Y%m%dT%H%M%SZ}"
    yield f"DTSTART;VALUE=DATE:{entry.day:%Y%m%d}"
    yield f"SUMMARY:{_escaped(entry.title)}"
    yield f"DESCRIPTION:{_escaped(entry.text)}"
    yield f"URL:{entry.url}"
    # Nobody is busy because of it.
    yield "TRANSP:TRANSPARENT"
    yield "BEGIN:VALARM"
    yield "ACTION:DISPLAY"
    yield f"TRIGGER:-P{entry.remind_days}D"
    yield f"DESCRIPTION:{_escaped(entry.title)}"
    yield "END:VALARM"
    yield "END:VEVENT"


def _escaped(text: str) -> str:
    """Return a text with nothing in it that means something (RFC 5545 §3.3.11)."""
    return _MEANINGFUL.sub(r"\\\g<0>", plain(text))


def _folded(line: str) -> bytes:
    """Return a line cut where it is too long, but never within a letter, and its end."""
    folded, room = bytearray(), _LINE_BYTES
    for letter in line:
        encoded = letter.encode()
        if len(encoded) > room:
            folded += b"\r\n "
            room = _LINE_BYTES - 1
        folded += encoded
        room -= len(encoded)
    return bytes(folded) + b"\r\n"
