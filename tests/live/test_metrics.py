"""Any worker of a running server tells of all of them, also of those that are gone."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path

import pytest
import requests

from tests.live.servers import Server, wait_for

QUESTIONS = 20
ACTIVE = 'tokensrv_introspections_total{outcome="active"} '


def counted(server: Server) -> float:
    """Return how many active tokens the server says that it was asked about."""
    headers = {"Authorization": f"Bearer {server.instance.admin_token}"}
    text = requests.get(f"{server.url}/metrics", headers=headers, timeout=20).text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(ACTIVE))


def test_whoever_is_asked_tells_of_all_workers_and_a_reload_forgets_nothing(
    own_server: Server,
) -> None:
    workers = set(own_server.workers())
    for _ in range(QUESTIONS):
        # On a connection of its own, so that both workers get some.
        own_server.introspect(own_server.instance.admin_token)
    wait_for(lambda: counted(own_server) == QUESTIONS, "both workers to have written")
    assert [counted(own_server) for _ in range(8)] == [QUESTIONS] * 8
    own_server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: not workers & set(own_server.workers()), "the end of the old workers")
    assert counted(own_server) == QUESTIONS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_the_workers_shared_is_gone_with_the_server(
    own_server: Server, number: signal.Signals
) -> None:
    (shared,) = wait_for(lambda: folders_of(own_server.workers()), "the workers to share")
    own_server.stop(number)
    wait_for(lambda: shared not in folders(), "the folder to be gone")


def folders_of(workers: list[int]) -> list[Path]:
    """Return the folders in which all of them have left their numbers."""
    names = [f"{pid}-*.prom" for pid in workers]
    return [path for path in folders() if all(any(path.glob(name)) for name in names)]


def folders() -> set[Path]:
    places = (Path("/dev/shm"), Path(tempfile.gettempdir()))  # noqa: S108  # only looked into
    return {folder for place in places for folder in place.glob("tokensrv-metrics-*")}
