"""Proxies of ``docs/gates`` as they run, what is asked of them, and what gets through to a service.

Requests are written header by header: two of one name, spellings that no client library lets
through, and ``Connection`` are what these tests are about.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection
from itertools import product
from pathlib import Path

from tests.live.pages import Ports, blocks

# An address of this machine that no proxy has, so that it is seen whose address is told.
CLIENT = "127.0.0.2"
IDENTITY = ("x-auth-actor", "x-auth-scopes", "x-auth-token-id", "x-auth-user", "x-auth-user-id")

_PATIENCE_SECONDS = 30


ALICE = {"x-auth-user": "alice", "x-auth-user-id": "2"}
AS_ALICE = ALICE | {"x-auth-actor": "root"}
ROOT = {"x-auth-user": "root", "x-auth-user-id": "1"}


@dataclass(frozen=True)
class Kind:
    """What is different from one proxy to the other."""

    page: str
    # What a client names in Connection is gone before anything in the proxy could look at it.
    is_robbed: bool = False
    # A header that WSGI could take for another one is refused, not removed.
    refuses_underscores: bool = False
    # It asks for no scope itself: what is needed for what stands in the settings of tokensrv.
    has_table: bool = False
    # Clients of its own machine have the address of the machine, not the one they come from.
    hides_loopback: bool = False

    @property
    def name(self) -> str:
        """Return what its page is called."""
        return Path(self.page).stem


KINDS = (
    Kind("docs/gates/apache.md"),
    Kind("docs/gates/caddy.md"),
    Kind(
        "docs/gates/envoy.md",
        is_robbed=True,
        refuses_underscores=True,
        has_table=True,
        hides_loopback=True,
    ),
    Kind("docs/gates/fastify.md"),
    Kind("docs/gates/haproxy.md"),
    Kind("docs/gates/nginx.md"),
    Kind("docs/gates/trafficserver.md"),
    Kind("docs/gates/varnish.md", is_robbed=True),
)


@dataclass(frozen=True)
class Answer:
    """What came back; where that was from the service, the request as it arrived there."""

    status: int
    headers: Message
    path: str = ""
    arrived: tuple[tuple[str, str], ...] = ()

    @property
    def identity(self) -> dict[str, str]:
        """Return all that a service, also one behind WSGI, could take for who calls."""
        found = [(name, value) for name, value in self.arrived if plain(name).startswith("x-auth")]
        assert len(dict(found)) == len(found), found
        return dict(found)

    def has(self, *names: str) -> bool:
        """Return whether one of these headers arrived, however it is spelt."""
        return any(plain(name) in names for name, _ in self.arrived)


@dataclass(frozen=True)
class Proxy:
    """A running one, asked from an address."""

    kind: Kind
    ports: Ports
    client: str = CLIENT

    def ask(self, *headers: tuple[str, str], path: str = "/hello", method: str = "GET") -> Answer:
        """Return the answer to a request with exactly these headers, and Host."""
        port = int(self.ports("8080"))
        connection = HTTPConnection("127.0.0.1", port, _PATIENCE_SECONDS, (self.client, 0))
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            body = response.read().decode()
        finally:
            connection.close()
        if response.status != 200:
            return Answer(response.status, response.headers)
        first, *lines = body.splitlines()
        pairs = (line.partition(": ") for line in lines if line)
        arrived = tuple((name.lower(), value) for name, _, value in pairs)
        return Answer(response.status, response.headers, first, arrived)


def who(answer: Answer) -> dict[str, str]:
    """Return who the service was told calls; that nothing else came with it is checked here."""
    assert answer.status == 200
    assert set(answer.identity) <= set(IDENTITY)
    assert not answer.has("authorization", "private-token", "sudo", "sudo-reason")
    return {name: answer.identity[name] for name in AS_ALICE if name in answer.identity}


def bearer(secret: str) -> tuple[str, str]:
    """Return the header that presents a token (RFC 6750 §2.1)."""
    return "Authorization", f"Bearer {secret}"


def plain(name: str) -> str:
    """Return a header's name as it is meant."""
    return name.translate(str.maketrans("_.", "--"))


def twins(name: str) -> list[str]:
    """Return the other names that a service may take for the same.

    WSGI makes underscores of hyphens (PEP 3333: ``HTTP_``), PHP of dots as well.
    """
    words = name.split("-")
    ways = product("-_.", repeat=len(words) - 1)
    spelt = ("".join(map("".join, zip(words, (*way, ""), strict=True))) for way in ways)
    return [twin for twin in spelt if twin != name]


def settings_of(page: str) -> str:
    """Return the settings of tokensrv that a page asks for."""
    (found,) = (block["code"] for block in blocks(page) if block["value"] == "tokensrv.toml")
    return found
