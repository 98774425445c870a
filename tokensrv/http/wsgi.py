"""WSGI: requests as a server hands them over, for what answers the hottest of them before Flask.

It owns what such a fast path must share with Flask: the places in which a thread waits for a
body, the request id, the address, and how a request is handed on as if nobody had looked at it.
Values are read from the environment as Flask reads them.
"""

from __future__ import annotations

from io import BytesIO
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, cast

from flask import Flask

from tokensrv.config import Settings
from tokensrv.http.answers import unavailable
from tokensrv.http.parse import origin

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Where a fast path leaves the error that it met: it is raised again where errors are rendered.
PROBLEM: Final = "tokensrv.problem"

_BODIES: Final = "tokensrv_bodies"
# A body that is on its way arrives in a fraction of this.
_PLACE_SECONDS: Final = 0.25


class Places:
    """The few places in which a thread waits for a client that may be slow.

    They are half of a worker's threads, so that stalled bodies cannot stop everything else.
    ``with places:`` holds one; whoever finds none soon is told to come again.
    """

    def __init__(self, threads: int) -> None:
        # What is in it are free places; a semaphore of the library takes ten times as long.
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(max(1, threads // 2)):
            self._free.put(None)

    def __enter__(self) -> None:
        """Take a place; raises ApiError (503) when none gets free soon."""
        if not self.take(_PLACE_SECONDS):
            raise unavailable()

    def __exit__(self, *_: object) -> None:
        """Give the place back."""
        self.give_back()

    def take(self, seconds: float = 0) -> bool:
        """Return whether a place was free within so many seconds; it must be given back."""
        try:
            self._free.get(timeout=seconds)
        except Empty:
            return False
        return True

    def give_back(self) -> None:
        """Leave a place that was taken."""
        self._free.put(None)


def places(app: Flask) -> Places:
    """Return the application's places."""
    return cast(Places, app.extensions[_BODIES])


def init_app(app: Flask, threads: int) -> None:
    """Make room for bodies that are waited for."""
    app.extensions[_BODIES] = Places(threads)


def body(environ: WSGIEnvironment, places: Places, limit: int) -> bytes | None:
    """Return the body, None when there is none of a known and fitting length.

    Whoever comes later can read it again. Raises ApiError (503) when there is no place to wait.
    """
    length = _length(environ.get("CONTENT_LENGTH", ""))
    if not 0 < length <= limit or "HTTP_TRANSFER_ENCODING" in environ:
        return None
    stream = environ["wsgi.input"]
    try:
        with places:
            found: bytes = stream.read(length)
            while len(found) < length and (more := stream.read(length - len(found))):
                found += more
    except (OSError, ValueError):
        # The client is gone: whoever reads on finds that out, too.
        return None
    environ["wsgi.input"] = BytesIO(found)
    return found if len(found) == length else None


def _length(written: str) -> int:
    # Python takes more for a number than HTTP does (RFC 9110 §8.6), and long ones not at all.
    is_plain = written.isdigit() and written.isascii() and len(written) < 10
    return int(written) if is_plain else -1


def request_id(environ: WSGIEnvironment) -> str:
    """Return the id of the request, which may be a new one each time."""
    return origin.request_id(environ.get("HTTP_X_REQUEST_ID"))


def remote_address(environ: WSGIEnvironment, settings: Settings) -> str | None:
    """Return the client's address, None when it is not known."""
    peer, forwarded_for = environ.get("REMOTE_ADDR"), environ.get("HTTP_X_FORWARDED_FOR")
    return origin.client_address(peer, forwarded_for, settings.trusted_proxies)
