"""A network between tokensrv and PostgreSQL that can swallow everything, as a dead one does."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from psycopg.conninfo import conninfo_to_dict


class Proxy:
    """Passes bytes on in both directions until it is told to swallow them."""

    def __init__(self, url: str) -> None:
        self._target = conninfo_to_dict(url.replace("+psycopg", "", 1))
        self._is_silent = False
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Return the URL of the same database by way of the proxy."""
        user, name = self._target["user"], self._target["dbname"]
        password = f":{word}" if (word := self._target.get("password")) else ""
        port = self._listener.getsockname()[1]
        return (
            f"postgresql+psycopg://{user}{password}@127.0.0.1:{port}/{name}"
            "?sslmode=disable&gssencmode=disable"
        )

    def swallow(self) -> None:
        """From now on nothing arrives, in either direction, and nobody is told."""
        self._is_silent = True

    def recover(self) -> None:
        """Pass everything on again; what was swallowed is lost."""
        self._is_silent = False

    def close(self) -> None:
        """End all connections."""
        for end in [self._listener, *self._sockets]:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                # Small messages must not wait for each other, as they do not without a proxy.
                near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                far = self._dial()
                self._sockets += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _dial(self) -> socket.socket:
        host, port = str(self._target["host"]), self._target.get("port", 5432)
        if not host.startswith("/"):
            return socket.create_connection((host, int(port)))
        far = socket.socket(socket.AF_UNIX)
        far.connect(f"{host}/.s.PGSQL.{port}")
        return far

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not self._is_silent:
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
