"""Where ``serve`` listens: a port or a Unix socket, and whether it is free.

Granian binds it; this only makes sure beforehand that a refusal is one sentence.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import click

from tokensrv.config import DEFAULT_EXTERNAL_URL

_PROBE_SECONDS: Final = 1.0
# Connected, or the queue of those who wait for it is full: connect(2).
_LISTENS: Final = frozenset({0, errno.EAGAIN})


class Place(Protocol):
    """Where to listen; ``str()`` names it to people."""

    @property
    def url(self) -> str:
        """Return the address of links, where no setting gives one."""

    @property
    def options(self) -> Mapping[str, Any]:
        """Return what Granian is told."""


@dataclass(frozen=True, slots=True)
class Port:
    """A port of an IP address."""

    url: str
    address: str
    port: int

    def __str__(self) -> str:
        return self.url

    @property
    def options(self) -> Mapping[str, Any]:
        """Return what Granian is told."""
        return {"address": self.address, "port": self.port}


def free_port(host: str, port: int, *, is_tls: bool) -> Port:
    """Return the port at the host's address; refuses when it is taken there.

    The socket has SO_REUSEADDR, so that old connections are no obstacle, but not SO_REUSEPORT:
    with it, as Granian sets it, a second server would silently share the port.
    """
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        raise click.ClickException(
            f"Cannot listen at {host} port {port}: {error.strerror}; choose another with --host"
            " or --port."
        ) from None
    address = str(where[0])
    return Port(_url(host, address, port, is_tls=is_tls), address, port)


def _url(host: str, address: str, port: int, *, is_tls: bool) -> str:
    if ipaddress.ip_address(address).is_unspecified:
        host = "localhost"
    scheme = "https" if is_tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


@dataclass(frozen=True, slots=True)
class UnixSocket:
    """A socket in the file system; Granian removes it when it stops."""

    path: Path
    mode: int

    def __str__(self) -> str:
        return f"unix:{self.path}"

    @property
    def url(self) -> str:
        """Return the default of the setting: nothing is known of the proxy in front."""
        return DEFAULT_EXTERNAL_URL

    @property
    def options(self) -> Mapping[str, Any]:
        """Return what Granian is told."""
        return {"uds": self.path, "uds_permissions": self.mode}

    def free(self) -> UnixSocket:
        """Return this socket, without what a killed server left; refuses when it is in use."""
        try:
            if self.path.exists():
                self._remove_if_dead()
            # As Granian will; what is bound here goes at once.
            with socket.socket(socket.AF_UNIX) as probe:
                probe.bind(str(self.path))
            self.path.unlink()
        except OSError as error:
            raise self._refusal(error.strerror or str(error)) from None
        return self

    def _remove_if_dead(self) -> None:
        if not stat.S_ISSOCK(self.path.stat().st_mode):
            raise self._refusal("there is a file that is no socket")
        with socket.socket(socket.AF_UNIX) as probe:
            # Without a limit, a server that accepts nobody at the moment would hold this up.
            probe.settimeout(_PROBE_SECONDS)
            found = probe.connect_ex(str(self.path))
        if found in _LISTENS:
            raise self._refusal("another server listens there")
        # Only this one says that nobody is behind it.
        if found != errno.ECONNREFUSED:
            raise self._refusal(os.strerror(found))
        self.path.unlink()

    def _refusal(self, why: str) -> click.ClickException:
        return click.ClickException(
            f"Cannot listen at {self.path}: {why}; choose another with --unix-socket."
        )
