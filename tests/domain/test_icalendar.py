from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from tokensrv.domain.icalendar import Entry, calendar


def _entry(**wanted: Any) -> Entry:
    values: dict[str, Any] = {
        "uid": "token-7@tokens.example.org",
        "day": date(2027, 1, 31),
        "title": "Token expires: laptop",
        "text": "Rotate it.",
        "url": "https://tokens.example.org/",
        "stamp": datetime(2026, 3, 10, 12, 5, 9, tzinfo=UTC),
        "remind_days": 7,
    }
    return Entry(**values | wanted)


def _title(title: str) -> str:
    """Return the lines of a title as they are read: unfolded."""
    text = calendar("c", [_entry(title=title)]).decode().replace("\r\n ", "")
    return next(line for line in text.split("\r\n") if line.startswith("SUMMARY:"))[8:]


def test_a_day_is_an_entry_with_a_reminder() -> None:
    expected = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//tokensrv//expiry dates//EN",
        "METHOD:PUBLISH",
        "X-WR-CALNAME:Tokens of alice",
        "BEGIN:VEVENT",
        "UID:token-7@tokens.example.org",
        "DTSTAMP:20260310T120509Z",
        "DTSTART;VALUE=DATE:20270131",
        "SUMMARY:Token expires: laptop",
        "DESCRIPTION:Rotate it.",
        "URL:https://tokens.example.org/",
        "TRANSP:TRANSPARENT",
        "BEGIN:VALARM",
        "ACTION:DISPLAY",
        "TRIGGER:-P7D",
        "DESCRIPTION:Token expires: laptop",
        "END:VALARM",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
    assert calendar("Tokens of alice", [_entry()]).decode().split("\r\n") == expected


def test_a_calendar_may_be_empty() -> None:
    lines = calendar("c", []).split(b"\r\n")
    assert (lines[0], lines[-2]) == (b"BEGIN:VCALENDAR", b"END:VCALENDAR")
    assert b"BEGIN:VEVENT" not in lines


@pytest.mark.parametrize(
    ("title", "found"),
    [
        pytest.param("a;b,c\\d", "a\\;b\\,c\\\\d", id="what means something"),
        pytest.param("a\r\nEND:VEVENT", "a END:VEVENT", id="a line of its own"),
        pytest.param("a\x00\x07b\x85c\u2028d", "a b c d", id="control characters"),
        pytest.param("a\u202eb\u2066c\u200fd", "a b c d", id="the writing direction"),
        pytest.param("héllo 👋🏽", "héllo 👋🏽", id="other letters"),
    ],
)
def test_a_text_is_inert(title: str, found: str) -> None:
    assert _title(title) == found


@pytest.mark.parametrize("letter", ["x", "é", "€", "👋"])
def test_long_lines_are_folded_between_letters(letter: str) -> None:
    for length in range(60, 90):
        title = letter * length
        lines = calendar("c", [_entry(title=title)]).split(b"\r\n")
        assert max(map(len, lines)) <= 75
        # Each line can be read by itself, so that no letter was cut.
        assert all(line.decode() for line in lines[:-1])
        assert _title(title) == title
