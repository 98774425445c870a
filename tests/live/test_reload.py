"""SIGHUP to `tokensrv serve`: other settings, the same server, and nobody notices."""

from __future__ import annotations

import http.client
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from tests.live.servers import Instance, Server, serving, wait_for
from tokensrv.config import FILE_NAME, env_name

_LISTEN = "0A"  # TCP_LISTEN, as /proc/net/tcp writes it
CLIENTS = 4
# A worker that ends closes its idle connections, and a client may have begun to use one. Whoever
# keeps connections open resends what was closed without an answer (RFC 9112 §9.3.1, §9.5).
AS_CLIENTS_DO = Retry(
    total=None, connect=0, read=1, status=0, other=0, allowed_methods=None, backoff_factor=0
)


@contextmanager
def load(server: Server) -> Iterator[Counter[object]]:
    """Introspect all the time; gives how often each answer came."""
    answers: Counter[object] = Counter()
    over = threading.Event()

    def ask() -> None:
        with requests.Session() as session:
            session.mount("http://", HTTPAdapter(max_retries=AS_CLIENTS_DO))
            session.auth = (server.instance.client_id, server.instance.client_secret)
            while not over.is_set():
                answers[_outcome(session, server)] += 1
                over.wait(0.002)

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _outcome(session: requests.Session, server: Server) -> object:
    data = {"token": server.instance.admin_token}
    try:
        answer = session.post(f"{server.url}/oauth/introspect", data=data, timeout=20)
    except requests.RequestException as error:
        return repr(error)
    return answer.status_code, answer.json().get("active")


def write_settings(server: Server, text: str) -> None:
    (Path(server.instance.environment[env_name("instance")]) / FILE_NAME).write_text(text)


def issuer(server: Server) -> str:
    return str(server.get("/.well-known/oauth-authorization-server").json()["issuer"])


def reload_and_wait(server: Server) -> None:
    """Reload and return when no worker of before is left."""
    before = set(server.workers())
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(set(server.workers()) - before) == 2, "the new workers")
    wait_for(lambda: not before & set(server.workers()), "the end of the old workers")


def test_no_request_fails_while_the_workers_are_replaced(own_server: Server) -> None:
    with load(own_server) as answers:
        write_settings(own_server, 'external_url = "https://new.example.com"')
        reload_and_wait(own_server)
    assert answers.keys() == {(200, True)}
    assert answers.total() > 100
    assert issuer(own_server) == "https://new.example.com"


def test_what_has_begun_is_answered_by_the_worker_that_goes(
    live_instance: Instance, tmp_path: Path
) -> None:
    with serving(live_instance, tmp_path / "serve.log", "--workers", "1") as server:
        (old,) = server.workers()
        body = f"token={live_instance.admin_token}"
        begun = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        begun.putrequest("POST", "/oauth/introspect")
        begun.putheader("Authorization", live_instance.basic)
        begun.putheader("Content-Type", "application/x-www-form-urlencoded")
        begun.putheader("Content-Length", str(len(body)))
        begun.endheaders(body[:10].encode())
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: listeners(server.port) == 2, "the new worker")
        wait_for(lambda: listeners(server.port) == 1, "the old worker to be told to go")
        assert old in server.workers()
        begun.send(body[10:].encode())
        response = begun.getresponse()
        assert response.status == 200
        assert b'"active":true' in response.read().replace(b": ", b":")
        begun.close()
        wait_for(lambda: old not in server.workers(), "the end of the old worker")


def listeners(port: int) -> int:
    """Return how many sockets of this machine listen at the port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == _LISTEN for row in rows)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("threads = 0", id="a wrong value"),
        pytest.param('thread = "4"', id="an unknown setting"),
        pytest.param("threads = ", id="no TOML"),
        # On PostgreSQL the environment names the database, and wins.
        pytest.param(
            'database_url = "sqlite:////nowhere/x.sqlite3"',
            id="no database",
            marks=pytest.mark.sqlite,
        ),
    ],
)
def test_settings_that_cannot_be_served_leave_everything_as_it_is(
    live_server: Server, text: str
) -> None:
    workers, refusals = live_server.workers(), live_server.log.read_text().count("reload.refused")
    write_settings(live_server, text)
    live_server.process.send_signal(signal.SIGHUP)
    wait_for(
        lambda: live_server.log.read_text().count("reload.refused") == refusals + 1, "the refusal"
    )
    assert live_server.introspect(live_server.instance.admin_token)["active"]
    assert live_server.workers() == workers
    write_settings(live_server, "")


def test_the_environment_is_that_of_the_start(live_instance: Instance, tmp_path: Path) -> None:
    variables = {**live_instance.environment, env_name("external_url"): "https://env.example.com"}
    given = Instance(
        variables, live_instance.admin_token, live_instance.client_id, live_instance.client_secret
    )
    with serving(given, tmp_path / "serve.log") as server:
        write_settings(server, 'external_url = "https://file.example.com"\nprefix = "new"')
        reload_and_wait(server)
        assert issuer(server) == "https://env.example.com"
