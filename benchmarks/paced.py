"""A paced client: requests at a steady mean rate, and how long each answer took.

wrk can only ask as fast as it is answered. Here requests begin at random moments, as those of
many independent callers do, whether or not earlier ones were answered: a request that has to wait
for a connection waits from the moment at which it was due. Every answer is read and compared.
"""

from __future__ import annotations

import random
import select
import socket
import time
from collections import deque
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.peers import Endpoint

_CONNECTIONS = 32
_PATIENCE_SECONDS = 10
_READ_BYTES = 65_536
_LENGTH = b"content-length: "


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long answers took, in milliseconds, and how many were not as expected."""

    answers: int
    failures: int
    p50_ms: float
    p99_ms: float
    longest_ms: float


def latencies(taken_s: list[float], failures: int) -> Latencies:
    """Return the summary of the seconds that each answer took; there must be one at least."""
    ordered = sorted(second * 1000 for second in taken_s)
    count = len(ordered)
    p50, p99 = ordered[count // 2], ordered[min(count - 1, count * 99 // 100)]
    return Latencies(count, failures, p50, p99, ordered[-1])


def ask(endpoint: Endpoint, *, rate: float, seconds: float) -> Latencies:
    """Ask so many times a second and return how long the answers took.

    Raises RuntimeError when the service does not answer for ten seconds.
    """
    asker = _Asker(endpoint)
    try:
        return asker.ask(rate, seconds)
    finally:
        asker.close()


class _Asker:
    def __init__(self, endpoint: Endpoint) -> None:
        at = urlsplit(endpoint.url)
        self._messages = [_message(endpoint, body) for body in endpoint.bodies[:100_000]]
        self._expected = endpoint.expected.encode()
        where = at.hostname or "", at.port or 80
        self._idle = [socket.create_connection(where) for _ in range(_CONNECTIONS)]
        # What each busy connection has received, and since when its request counts.
        self._busy: dict[socket.socket, tuple[bytes, float]] = {}
        self._failures = 0
        self._taken: list[float] = []

    def ask(self, rate: float, seconds: float) -> Latencies:
        chance = random.Random(rate)  # noqa: S311  # a load, no secret
        waiting: deque[float] = deque()
        now = time.perf_counter()
        end, due, asked = now + seconds, now, 0
        while due < end or self._busy or waiting:
            while due <= now and due < end:
                waiting.append(due if not self._idle else now)
                due += chance.expovariate(rate)
            while waiting and self._idle:
                self._send(self._messages[asked % len(self._messages)], waiting.popleft())
                asked += 1
            self._receive(max(0.0, min(due, end) - time.perf_counter()) if due < end else 1.0)
            now = time.perf_counter()
            if now > end + _PATIENCE_SECONDS:
                raise RuntimeError(f"{len(self._busy)} requests were not answered")
        return latencies(self._taken, self._failures)

    def close(self) -> None:
        for connection in (*self._idle, *self._busy):
            connection.close()

    def _send(self, message: bytes, since: float) -> None:
        connection = self._idle.pop()
        self._busy[connection] = b"", since
        connection.sendall(message)

    def _receive(self, patience_s: float) -> None:
        for connection in select.select(list(self._busy), (), (), patience_s)[0]:
            so_far, since = self._busy[connection]
            got = connection.recv(_READ_BYTES)
            if not got:
                raise RuntimeError("the server closed a connection")
            if not _is_whole(so_far + got):
                self._busy[connection] = so_far + got, since
                continue
            del self._busy[connection]
            self._idle.append(connection)
            self._taken.append(time.perf_counter() - since)
            self._failures += not _is_right(so_far + got, self._expected)


def _message(endpoint: Endpoint, body: str) -> bytes:
    at = urlsplit(endpoint.url)
    lines = [f"POST {at.path} HTTP/1.1", f"Host: {at.netloc}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in endpoint.headers.items()]
    return "\r\n".join([*lines, "", body]).encode()


def _is_whole(answer: bytes) -> bool:
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        return False
    length = head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0]
    return len(body) >= int(length)


def _is_right(answer: bytes, expected: bytes) -> bool:
    return answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")) and expected in answer
