"""Paths: how ids stand in the addresses of the API and of the pages."""

from __future__ import annotations

from flask import Flask
from werkzeug.routing import BaseConverter

from tokensrv.http.parse.ids import BEYOND_IDS, read_whole


class IdConverter(BaseConverter):
    """An id in a path: ASCII digits alone, and any number of them."""

    regex = "[0-9]+"

    def to_python(self, value: str) -> int:
        """Return the id; one that no record can have becomes one that none has."""
        number = read_whole(value)
        return BEYOND_IDS if number is None else number


class TokenIdConverter(BaseConverter):
    """The id of a token in a path: whatever is no number gets there, and is told so (400).

    All but ``self``, which has routes of its own.
    """

    part_isolating = True
    regex = "(?!self$)[^/]+"


def init_app(app: Flask) -> None:
    """Have rules say ``<id:...>`` and ``<token_id:...>``."""
    app.url_map.converters |= {"id": IdConverter, "token_id": TokenIdConverter}
