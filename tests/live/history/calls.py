"""One request and its reply: a thread's own connections to the nodes, and when it called.

Connections are kept alive, so that a thread stays with one worker of a node until it hangs up.
"""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from tests.live.history.powers import Client
from tests.live.servers import Server

# Longer than any pause that a test makes, so that an answer out of a pause is heard.
_PATIENCE_SECONDS = 10

NOT_SENT: Final = -1
NO_ANSWER: Final = 0
UNAVAILABLE: Final = 503


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, whichever node it goes to."""

    method: str
    path: str
    headers: dict[str, str]
    body: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; ``start`` and ``end`` are nanoseconds of this machine's monotonic clock."""

    status: int
    start: int
    end: int
    document: Any = None
    retry_after: str | None = None

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_unknown(self) -> bool:
        """Return whether the call may have happened, or may yet."""
        return self.status in (NO_ANSWER, UNAVAILABLE)


def api(
    method: str, path: str, secret: str, fields: dict[str, Any] | None = None, sudo: str = ""
) -> Request:
    """Return a call to the API with a token."""
    headers = {"PRIVATE-TOKEN": secret} | ({"Sudo": sudo} if sudo else {})
    if fields is None:
        return Request(method, f"/api/v4{path}", headers)
    headers["Content-Type"] = "application/json"
    return Request(method, f"/api/v4{path}", headers, json.dumps(fields))


def oauth(path: str, client: Client, **fields: str) -> Request:
    """Return a call of a client."""
    basic = base64.b64encode(f"{client.id}:{client.secret}".encode()).decode()
    headers = {
        "Authorization": f"Basic {basic}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return Request("POST", f"/oauth/{path}", headers, urlencode(fields))


class Wire:
    """The connections of one thread, one to each node that it has called."""

    def __init__(self, servers: Sequence[Server]) -> None:
        # The list itself: a node that was started again has another port.
        self._servers = servers
        self._open: dict[int, http.client.HTTPConnection] = {}

    def call(self, node: int, request: Request) -> Reply:
        """Send a request and return what came of it; a reply that is late is none."""
        start = time.monotonic_ns()
        try:
            connection = self._connection(node)
        except OSError:
            return Reply(NOT_SENT, start, time.monotonic_ns())
        start = time.monotonic_ns()
        try:
            connection.request(request.method, request.path, request.body, request.headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            self.hang_up(node)
            return Reply(NO_ANSWER, start, time.monotonic_ns())
        end = time.monotonic_ns()
        document = json.loads(content) if content else None
        return Reply(response.status, start, end, document, response.headers["Retry-After"])

    def hang_up(self, node: int) -> None:
        """Close the connection to a node; the next call may meet another of its workers."""
        if node in self._open:
            self._open.pop(node).close()

    def close(self) -> None:
        """Close all connections."""
        for node in tuple(self._open):
            self.hang_up(node)

    def _connection(self, node: int) -> http.client.HTTPConnection:
        if node not in self._open:
            port = self._servers[node].port
            made = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_SECONDS)
            made.connect()
            self._open[node] = made
        return self._open[node]
