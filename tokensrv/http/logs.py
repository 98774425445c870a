"""Logs: one JSON object a line on stderr, an event with its keys, and never a secret.

Code anywhere logs ``getLogger("tokensrv.x").info("token.revoked", extra={"token_id": 1})``; this
module decides how the line looks. Whatever has the shape of one of our secrets is masked, in
exceptions too, so that a slip elsewhere is not a leak.
"""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from typing import Any, Final

from tokensrv.clock import from_ms, isoformat
from tokensrv.domain.secret import masked

current_request: ContextVar[str | None] = ContextVar("current_request", default=None)

# What every record has; the rest was given as ``extra``.
_USUAL: Final = frozenset({*logging.makeLogRecord({}).__dict__, "message", "taskName"})


def configure() -> None:
    """Send the log to stderr as JSON; calling it again changes nothing."""
    root = logging.getLogger()
    if not any(isinstance(handler, JsonHandler) for handler in root.handlers):
        root.addHandler(JsonHandler())
    logging.getLogger("tokensrv").setLevel(logging.INFO)


class JsonHandler(logging.Handler):
    """Writes each record as one line to whatever stderr is at that moment."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a stderr that is closed loses it."""
        try:
            sys.stderr.write(self.format(record) + "\n")
        except (OSError, ValueError):
            self.handleError(record)


class JsonFormatter(logging.Formatter):
    """Makes one JSON object of a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: time, level, event, request_id, logger, then the event's own keys."""
        line: dict[str, Any] = {
            "time": isoformat(from_ms(int(record.created * 1000))),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "request_id": current_request.get(),
            "logger": record.name,
        }
        line |= {
            key: value for key, value in record.__dict__.items() if key not in _USUAL | line.keys()
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(masked(line), default=lambda value: masked(str(value)))
