"""`tokensrv serve` as processes: workers, signals, limits, and other servers beside it."""

from __future__ import annotations

import http.client
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.databases import connect
from tests.live.servers import (
    SCRIPTS,
    Instance,
    Server,
    free_port,
    is_running,
    listens,
    running,
    serving,
    wait_for,
)
from tokensrv.config import env_name

THREADS = 4
# Each thread may hold one of the hot read and one of SQLAlchemy's pool, and what gathers last
# uses holds one. How many a round of requests really needs depends on how they meet.
MOST_CONNECTIONS = 2 * THREADS + 1


def test_it_answers_about_the_first_token(live_server: Server) -> None:
    answer = live_server.introspect(live_server.instance.admin_token)
    assert (answer["active"], answer["username"]) == (True, "root")


def test_links_carry_host_and_port_of_the_server(live_server: Server) -> None:
    answer = live_server.introspect(live_server.instance.admin_token)
    assert answer["iss"] == live_server.url


def test_headers_beyond_the_limit_are_431(live_server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", live_server.port, timeout=20)
    connection.request("GET", "/healthz", headers={"X-Long": "a" * 20_000})
    assert connection.getresponse().status == 431
    connection.close()


@pytest.mark.sqlite
@pytest.mark.parametrize("unreadable", ["Authorization", "PRIVATE-TOKEN"])
def test_a_credential_that_the_server_cannot_read_is_no_absent_one(
    live_server: Server, unreadable: str
) -> None:
    good = live_server.instance.admin_token
    sent = {"Authorization": f"Bearer {good}", "PRIVATE-TOKEN": good}
    for gate in ("/gate/auth", "/jwt/auth?service=container_registry"):
        assert status(live_server, gate, sent) == 200
        # As one byte, which is no UTF-8.
        assert status(live_server, gate, sent | {unreadable: "Bearer \xff"}) == 401


def status(server: Server, path: str, headers: dict[str, str]) -> int:
    """Return what a request with these headers, written as Latin-1, is answered."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", path, headers=headers)
    found = connection.getresponse().status
    connection.close()
    return found


def test_a_second_server_of_the_folder_is_refused(live_server: Server) -> None:
    done = live_server.instance.command("serve", "--port", str(free_port()))
    assert (done.returncode, done.stdout) == (1, "")
    assert "Another tokensrv serves the instance folder" in done.stderr


def test_another_server_on_the_port_is_refused(
    live_server: Server, live_instance: Instance
) -> None:
    done = live_instance.command("serve", "--port", str(live_server.port))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"Cannot listen at 127.0.0.1 port {live_server.port}" in done.stderr


@pytest.mark.sqlite
def test_the_main_process_never_opens_the_database(live_server: Server) -> None:
    live_server.introspect(live_server.instance.admin_token)
    assert database_files(live_server.pid) == 0
    assert sum(map(database_files, live_server.workers())) > 0


def test_a_killed_worker_is_replaced(own_server: Server) -> None:
    first, second = own_server.workers()
    os.kill(first, signal.SIGKILL)
    wait_for(
        lambda: len(set(own_server.workers()) - {first}) == 2 and not is_running(first),
        "a new worker",
    )
    assert second in own_server.workers()
    wait_for(own_server.is_ready, "the server to be ready again")


def test_workers_end_when_the_main_process_is_killed(own_server: Server) -> None:
    workers = own_server.workers()
    own_server.stop(signal.SIGKILL)
    wait_for(lambda: not any(map(is_running, workers)), "the workers to end")


def test_a_killed_server_can_be_started_again_at_once(
    live_instance: Instance, tmp_path: Path
) -> None:
    with serving(live_instance, tmp_path / "first.log") as first:
        first.stop(signal.SIGKILL)
        with serving(live_instance, tmp_path / "second.log") as second:
            assert second.introspect(live_instance.admin_token)["active"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_answers_what_has_begun(own_server: Server, number: signal.Signals) -> None:
    body = f"token={own_server.instance.admin_token}"
    head = http.client.HTTPConnection("127.0.0.1", own_server.port, timeout=20)
    head.putrequest("POST", "/oauth/introspect")
    head.putheader("Authorization", own_server.instance.basic)
    head.putheader("Content-Type", "application/x-www-form-urlencoded")
    head.putheader("Content-Length", str(len(body)))
    # It says so when it has begun; a request that is still on its way has not.
    head.putheader("Expect", "100-continue")
    head.endheaders()
    assert head.sock.recv(100).startswith(b"HTTP/1.1 100 ")
    head.send(body[:10].encode())
    own_server.process.send_signal(number)
    wait_for(lambda: not listens(own_server.port), "the port to be closed")
    head.send(body[10:].encode())
    response = head.getresponse()
    assert response.status == 200
    assert b'"active":true' in response.read().replace(b": ", b":")
    head.close()
    assert own_server.process.wait(20) == 0


def test_the_last_use_is_written_at_a_stop(live_instance: Instance, tmp_path: Path) -> None:
    with serving(live_instance, tmp_path / "serve.log") as server:
        server.introspect(live_instance.admin_token)
        before = live_instance.command("token", "list", "--json").stdout
        assert server.stop() == 0
    after = live_instance.command("token", "list", "--json").stdout
    assert '"last_used_at": null' in before
    assert '"last_used_at": null' not in after


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(
            ["granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", "{port}"],
            id="granian",
        ),
        pytest.param(
            ["gunicorn", "--bind", "127.0.0.1:{port}", "--threads", "2", "--no-control-socket"],
            id="gunicorn",
        ),
    ],
)
def test_other_servers_run_the_wsgi_entry_point(
    live_instance: Instance, tmp_path: Path, command: list[str]
) -> None:
    port = free_port()
    program, *options = (part.format(port=port) for part in command)
    whole = [str(SCRIPTS / program), *options, "wsgi:app"]
    with running(live_instance, whole, port, tmp_path / "server.log") as server:
        assert server.introspect(live_instance.admin_token)["active"]


def test_threads_that_come_and_go_leave_no_connection_behind(
    live_instance: Instance, tmp_path: Path
) -> None:
    port = free_port()
    command = [str(SCRIPTS / "granian"), "--interface", "wsgi", "--port", str(port)]
    command += ["--blocking-threads", str(THREADS), "--blocking-threads-idle-timeout", "5"]
    with running(live_instance, [*command, "wsgi:app"], port, tmp_path / "server.log") as server:
        (worker,) = server.workers()
        busy = burst(server, worker)
        # Were threads to leave their connections behind, these few rounds would be too many.
        for _ in range(3):
            wait_for(lambda: threads(worker) <= busy - THREADS + 1, "the threads to end")
            burst(server, worker)
        assert connections(live_instance, worker) <= MOST_CONNECTIONS


def burst(server: Server, worker: int) -> int:
    """Keep all threads of the worker busy for a moment and return how many it has then."""
    secret = server.instance.admin_token
    with ThreadPoolExecutor(4 * THREADS) as pool:
        answers = [pool.submit(server.introspect, secret) for _ in range(50 * THREADS)]
        assert all(answer.result()["active"] for answer in answers)
    return threads(worker)


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def connections(instance: Instance, worker: int) -> int:
    """Return how many connections to the database the worker holds."""
    url = instance.environment.get(env_name("database_url"))
    if url is None:
        return database_files(worker)
    with connect(url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    return row[0] if row else 0


def database_files(pid: int) -> int:
    """Return how often the process has the SQLite file open."""
    found = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found += entry.readlink().name == "tokensrv.sqlite3"
    return found
