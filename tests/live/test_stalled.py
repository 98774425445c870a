"""Clients that begin a request and never end it must not stop everybody else."""

from __future__ import annotations

import socket
from contextlib import ExitStack

from tests.live.servers import Server

STALLED = 24


def test_stalled_bodies_leave_room_for_others(own_server: Server) -> None:
    head = (
        f"POST /oauth/introspect HTTP/1.1\r\nHost: 127.0.0.1:{own_server.port}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ntoken="
    )
    with ExitStack() as sockets:
        for _ in range(STALLED):
            stalled = sockets.enter_context(
                socket.create_connection(("127.0.0.1", own_server.port))
            )
            stalled.sendall(head.encode())
        answers = [own_server.get("/healthz").status_code for _ in range(8)]
        assert answers == [200] * 8
    assert own_server.introspect(own_server.instance.admin_token)["active"] is True
