"""Services under measurement: on their cores, answering right, and gone afterwards."""

from __future__ import annotations

import os
import sys
from base64 import b64decode
from pathlib import Path

import pytest

from benchmarks.peers.django_oauth_toolkit import DjangoOauthToolkit
from benchmarks.peers.oauth import Client
from benchmarks.peers.processes import install_once, missing, started
from tests.live.servers import is_running, wait_for

_CORE = min(os.sched_getaffinity(0))
# A process that leaves another behind when it is asked to end.
_WITH_A_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def test_a_service_runs_on_its_core_answers_right_and_is_gone_afterwards() -> None:
    peer = DjangoOauthToolkit()
    assert peer.why_not() is None
    peer.install()
    with peer.running([_CORE]) as endpoint:
        pids = endpoint.pids()
        assert [os.sched_getaffinity(pid) for pid in pids] == [{_CORE}] * len(pids)
        assert len(pids) > 1  # Granian and its worker.
        with pytest.raises(RuntimeError, match="403 Forbidden"):
            Client().endpoint(endpoint.url, "unknown", endpoint.pids)
        pair = b64decode(endpoint.headers["Authorization"].removeprefix("Basic ")).decode()
        with pytest.raises(RuntimeError, match=r'should say "active":true, said {"active": false}'):
            Client(*pair.split(":")).endpoint(endpoint.url, "unknown", endpoint.pids)
    assert not any(is_running(pid) for pid in pids)


def test_what_a_service_has_started_ends_with_it(tmp_path: Path) -> None:
    with started(sys.executable, "-c", _WITH_A_CHILD, cores=[_CORE], folder=tmp_path) as service:
        wait_for(lambda: service.log.read_text().endswith("\n"), "the child to be told")
        child = int(service.log.read_text())
        assert service.pids() == [service.leader.pid, child]
    assert not is_running(child)


def test_a_service_that_ends_at_once_says_why(tmp_path: Path) -> None:
    script = "raise SystemExit('no licence')"
    with (
        started(sys.executable, "-c", script, cores=[_CORE], folder=tmp_path) as service,
        pytest.raises(RuntimeError, match="no licence"),
    ):
        service.wait_for("http://127.0.0.1:9/")


def test_an_installation_that_broke_off_begins_anew(tmp_path: Path) -> None:
    def break_off(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("the registry is away")

    def build(folder: Path) -> None:
        (folder / "program").touch()

    installed = tmp_path / "service"
    with pytest.raises(OSError, match="away"):
        install_once(installed, break_off)
    assert not installed.exists()
    install_once(installed, build)
    install_once(installed, break_off)
    assert [entry.name for entry in installed.iterdir()] == ["program"]


def test_a_missing_command_is_named() -> None:
    assert missing("sh", "no-such-command", "nor-this") == "no-such-command is not installed"
