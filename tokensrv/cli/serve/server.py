"""Granian, set up as tokensrv is served: its limits, its log, and what it leaves to a proxy."""

from __future__ import annotations

from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.common import AbstractServer

# Granian's default buffer takes 400 kB of headers; above this the answer is 431.
_MAX_HEADER_BYTES = 16_384
# A client that sends its body byte by byte must not hold up a stop for ever.
_STOP_SECONDS = 20
# The server's own messages go the way of all others.
_LOGGING: dict[str, Any] = {
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {"handlers": [], "propagate": True}},
}

Server = AbstractServer[Any]


def granian(target: str, *, workers: int, threads: int, **options: Any) -> Server:
    """Return Granian for a WSGI callable; ``options`` say where it listens, and with which key."""
    return Granian(
        target,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=threads,
        # HTTP/2 belongs to the proxy; it would have limits of its own.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(max_buffer_size=_MAX_HEADER_BYTES),
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=_STOP_SECONDS,
        log_level=LogLevels.error,
        log_dictconfig=_LOGGING,
        **options,
    )
