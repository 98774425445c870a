"""Fields: how GitLab reads parameters and writes values.

It owns types and wording (``is missing``, ``is invalid``, ``does not have a valid value``). A
parameter in a URL is always text, so every type is read from text and from JSON alike.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any, Final

from marshmallow import fields, missing, validate

from tokensrv.clock import isoformat
from tokensrv.http.parse.ids import BEYOND_IDS, read_whole

NO_VALID_VALUE: Final = "does not have a valid value"

_WORDS: Final[dict[str, Any]] = {
    "required": "is missing",
    "null": "is invalid",
    "invalid": "is invalid",
}
_TRUE: Final = frozenset({True, "true", "True", "TRUE", "t", "T", "1", "on", "ON"})
_FALSE: Final = frozenset({False, "false", "False", "FALSE", "f", "F", "0", "off", "OFF"})
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


# What is searched for is part of a name, and no name is longer.
SEARCH: Final = validate.Length(max=255, error="is invalid")


def one_of(*choices: Any) -> validate.OneOf:
    """Return the check that a value is one of these."""
    return validate.OneOf(choices, error=NO_VALID_VALUE)


class _Worded(fields.Field[Any]):
    """A field that refuses in GitLab's words."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, error_messages=_WORDS, **options)


class Text(_Worded, fields.String):
    """A text."""


class Flag(_Worded, fields.Boolean):
    """A truth, in any way in which clients write one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(truthy=_TRUE, falsy=_FALSE, **options)


class Whole(_Worded, fields.Integer):
    """A number that is not negative, in ASCII digits."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> int:
        number = read_whole(value)
        if number is None:
            raise self.make_error("invalid")
        return number


class Id(Whole):
    """The id of a record; a blank one is the id of none."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> int:
        return BEYOND_IDS if value == "" else super()._deserialize(value, attr, data)


class StrictDay(_Worded, fields.Date):
    """A day as ``YYYY-MM-DD`` and in no other way."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> date:
        if not isinstance(value, str) or not _DAY.fullmatch(value):
            raise self.make_error("invalid")
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise self.make_error("invalid") from None


class Day(_Worded, fields.Date):
    """A day to compare with; a moment is cut to its day, as it is written."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> date:
        try:
            return datetime.fromisoformat(value).date()
        except (TypeError, ValueError):
            raise self.make_error("invalid") from None


class Moment(_Worded, fields.DateTime):
    """A moment; without an offset it is UTC, a day is its 00:00."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> datetime:
        try:
            moment = datetime.fromisoformat(value)
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (TypeError, ValueError, OverflowError):
            raise self.make_error("invalid") from None

    def _serialize(self, value: Any, attr: Any, obj: Any, **_: Any) -> str | None:
        return None if value is None else isoformat(value)


class Words(_Worded, fields.List[str]):
    """An array of words, or one text in which commas separate them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(fields.String(), **options)

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> Any:
        given = value if isinstance(value, list) else [value]
        if not all(isinstance(text, str) for text in given):
            raise self.make_error("invalid")
        words = (word.strip() for text in given for word in text.split(","))
        return tuple(word for word in words if word)


class Mark(fields.Boolean):
    """A key that is there, and true, only where the attribute has one certain value."""

    def __init__(self, value: object, **options: Any) -> None:
        super().__init__(**options)
        self._value = value

    def _serialize(self, value: Any, attr: Any, obj: Any, **_: Any) -> Any:
        return True if value == self._value else missing


def constants(values: dict[str, Any]) -> dict[str, fields.Field[Any]]:
    """Return a field for each key that always has the same value."""
    return {
        name: fields.Constant(value, metadata={"enum": [value]}) for name, value in values.items()
    }
