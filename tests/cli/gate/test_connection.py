"""Which connection a process serves: real processes that are called as sshd's are."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.live.servers import children, wait_for
from tokensrv.cli.gate import connection

Sshd = Callable[..., int]


@contextmanager
def _running(program: Path, script: str) -> Iterator[int]:
    """Give the one child of a process that leads a session, as each connection's sshd does."""
    command = [program, "-c", script]
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL) as process:
        [child] = wait_for(lambda: children(process.pid), "a child")
        try:
            yield child
        finally:
            # The one may be gone with the other.
            for pid in (*children(child), child):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """Start what is called so and get what it has started."""
    with ExitStack() as stack:

        def start(name: str = "sshd", script: str = "sleep 60; :") -> int:
            (program := tmp_path / name).unlink(missing_ok=True)
            program.symlink_to("/bin/bash")
            return stack.enter_context(_running(program, script))

        yield start


def test_each_connection_has_a_name_of_its_own(sshd: Sshd) -> None:
    one, other = sshd(), sshd("sshd-session")
    assert connection.of(one) == connection.of(one) != connection.of(other)
    assert len(connection.of(one) or b"") == 32


def test_it_is_the_same_for_everything_below(sshd: Sshd) -> None:
    # What asks PAM, and each command, leads a session of its own.
    child = sshd(script="/bin/sh -c 'setsid sleep 60; :'; :")
    [below] = wait_for(lambda: children(child), "setsid")
    wait_for(lambda: os.getsid(below) == below, "a session")
    assert connection.of(below) == connection.of(child) is not None


def test_what_no_sshd_has_started_serves_none(sshd: Sshd) -> None:
    assert connection.of(sshd("cron")) is None
    assert connection.of(os.getpid()) is None
    assert connection.of(2**22 + 1) is None


def test_sshd_that_leads_no_session_names_none(sshd: Sshd, tmp_path: Path) -> None:
    # Whatever does lead it may have started several.
    (tmp_path / "sshd").symlink_to("/bin/bash")
    child = sshd("inetd", f"{tmp_path / 'sshd'} -c 'sleep 60; :'; :")
    [below] = wait_for(lambda: children(child), "sleep")
    assert connection.of(below) is None
