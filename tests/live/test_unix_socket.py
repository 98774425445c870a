"""`tokensrv serve` at a Unix socket: who may connect, and what is left of it."""

from __future__ import annotations

import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import httpx
import pytest

from tests.live.servers import SCRIPTS, Instance, children, is_running, started, wait_for

# It is about the socket alone.
pytestmark = pytest.mark.sqlite


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokensrv.sock"


@pytest.fixture
def http(path: Path) -> Iterator[httpx.Client]:
    """A client of whoever listens at the socket."""
    transport = httpx.HTTPTransport(uds=str(path))
    with httpx.Client(transport=transport, base_url="http://localhost", timeout=20) as client:
        yield client


@contextmanager
def serving(instance: Instance, path: Path, http: httpx.Client) -> Iterator[Popen[bytes]]:
    log = path.with_suffix(".log")
    command = [str(SCRIPTS / "tokensrv"), "serve", "--workers", "2", "--unix-socket", str(path)]
    with started(instance, command, log) as process:

        def is_ready() -> bool:
            assert process.poll() is None, log.read_text()
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(str(path)) != 0:
                    return False
            return http.get("/readyz").status_code == 200

        wait_for(is_ready, "the server to be ready")
        yield process


def test_it_answers_owner_and_group_and_removes_the_socket_at_its_end(
    live_instance: Instance, path: Path, http: httpx.Client
) -> None:
    with serving(live_instance, path, http) as process:
        found = http.post(
            "/oauth/introspect",
            data={"token": live_instance.admin_token},
            auth=(live_instance.client_id, live_instance.client_secret),
        )
        assert (found.status_code, found.json()["active"]) == (200, True)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        process.terminate()
        assert process.wait(20) == 0
    assert not path.exists()


def test_after_a_kill_it_can_be_started_at_the_same_socket(
    live_instance: Instance, path: Path, http: httpx.Client
) -> None:
    with serving(live_instance, path, http) as first:
        workers = children(first.pid)
        first.kill()
        first.wait()
        # They end by themselves, a moment later; until then it is them who answer.
        wait_for(lambda: not any(map(is_running, workers)), "the workers to end")
        assert path.exists()
        with serving(live_instance, path, http):
            assert http.get("/healthz").status_code == 200


def test_the_socket_stays_at_a_reload(
    live_instance: Instance, path: Path, http: httpx.Client
) -> None:
    with serving(live_instance, path, http) as process:
        before = path.stat().st_ino
        process.send_signal(signal.SIGHUP)
        log = path.with_suffix(".log")
        wait_for(lambda: "reload.begun" in log.read_text(), "the reload")
        assert http.get("/readyz").status_code == 200
        assert path.stat().st_ino == before
