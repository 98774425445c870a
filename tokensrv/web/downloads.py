"""Downloads: files that are sent while they are made, line by line, however long they get.

It owns what becomes of one that cannot be made to its end. What stands in it is the reports'.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final

from flask import Response

# A cell of CSV, and a line of JSON that is no object: whoever reads the file stumbles over it.
CUT: Final = '"The file ends here because of an error: it is not complete."\n'

_log = logging.getLogger("tokensrv.web")


def download(lines: Iterator[str], filename: str, content_type: str) -> Response:
    """Return the lines as a file to keep; when one of them fails, ``CUT`` is the last."""
    response = Response(_to_the_end(lines), content_type=f"{content_type}; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def _to_the_end(lines: Iterator[str]) -> Iterator[str]:
    try:
        yield from lines
    except Exception:  # noqa: BLE001  # a server ends the answer as if it were whole
        _log.exception("download.failed")
        yield CUT
