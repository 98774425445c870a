"""`tokensrv serve` up to the moment at which Granian takes over; the rest is tests/live."""

from __future__ import annotations

import ctypes
import fcntl
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.factories import make_user
from tests.processes import environment
from tokensrv.cli import main, serve
from tokensrv.config import Settings
from tokensrv.db import Store, sqlite

# The tests run in processes with several threads; `tokensrv serve` has one when it forks.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*multi-threaded, use of fork:DeprecationWarning",
)


class RecordedGranian:
    """Stands for Granian, which would take the process over; keeps what it was given."""

    last: RecordedGranian

    def __init__(self, target: str, **options: Any) -> None:
        RecordedGranian.last = self
        self.target = target
        self.options = options
        self.external_url: str | None = None

    def on_startup(self, hook: Callable[[], None]) -> None:
        self.started = hook

    def serve(self, *, target_loader: Callable[[str], Any]) -> None:
        self.loader = target_loader
        self.external_url = os.environ.get("TOKENSRV_EXTERNAL_URL")
        self.started()


@pytest.fixture(autouse=True)
def _granian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "Granian", RecordedGranian)
    # What `serve` puts there for its workers must not outlive the test.
    monkeypatch.setenv("TOKENSRV_EXTERNAL_URL", "")


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def run(runner: CliRunner, port: int) -> Callable[..., Result]:
    def run(*arguments: str, **variables: str) -> Result:
        return runner.invoke(main, ["serve", "--port", str(port), *arguments], env=variables)

    return run


Run = Callable[..., Result]


def refusal(done: Result) -> str:
    """Return the one sentence on stderr of a command that failed."""
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr.strip()


def test_granian_is_told_its_limits(run: Run, store: Store, port: int) -> None:
    make_user(store)
    done = run("--workers", "3")
    assert done.exit_code == 0, done.output
    assert done.stderr == f"tokensrv listens at http://127.0.0.1:{port}; Ctrl+C stops it.\n"
    options = RecordedGranian.last.options
    assert (options["address"], options["port"], options["workers"]) == ("127.0.0.1", port, 3)
    assert options["blocking_threads"] == store.settings.threads
    assert options["respawn_failed_workers"] is True
    assert options["http1_settings"].max_buffer_size == 16_384
    assert RecordedGranian.last.loader is serve.load_worker


@pytest.mark.parametrize(
    ("host", "url"),
    [
        pytest.param("127.0.0.1", "http://127.0.0.1:{port}", id="address"),
        pytest.param("localhost", "http://localhost:{port}", id="name"),
        pytest.param("0.0.0.0", "http://localhost:{port}", id="every IPv4 address"),  # noqa: S104  # that is the case
        pytest.param("::", "http://localhost:{port}", id="every address"),
        pytest.param("::1", "http://[::1]:{port}", id="IPv6"),
    ],
)
def test_workers_learn_the_url_from_host_and_port(
    run: Run, store: Store, port: int, host: str, url: str
) -> None:
    make_user(store)
    assert run("--host", host).exit_code == 0
    assert RecordedGranian.last.external_url == url.format(port=port)


def test_a_given_external_url_is_left_alone(run: Run, store: Store) -> None:
    make_user(store)
    # The default, but given: it is not the same as none.
    assert run(TOKENSRV_EXTERNAL_URL="http://127.0.0.1:8000").exit_code == 0
    assert RecordedGranian.last.external_url == "http://127.0.0.1:8000"


def test_a_database_without_users_is_refused(run: Run) -> None:
    assert refusal(run()) == "Error: The database has no user yet; run `tokensrv init`."


def test_an_unknown_setting_is_refused(run: Run) -> None:
    assert "TOKENSRV_THREAD is not a setting" in refusal(run(TOKENSRV_THREAD="4"))


def test_an_instance_that_cannot_be_written_is_refused(run: Run) -> None:
    # Not even root can write there.
    assert "The instance folder /proc cannot be written" in refusal(run(TOKENSRV_INSTANCE="/proc"))


def test_a_second_server_of_the_folder_is_refused(run: Run, settings: Settings) -> None:
    with (settings.instance / "serve.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert "Another tokensrv serves" in refusal(run())
    # The file alone refuses nobody.
    assert "Another tokensrv" not in refusal(run())


@pytest.fixture
def listener(port: int) -> Iterator[socket.socket]:
    with socket.socket() as listener:
        # As Granian does: whoever sets the second one too would share the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        yield listener


@pytest.mark.usefixtures("listener")
def test_a_taken_port_is_refused_even_if_it_could_be_shared(run: Run, port: int) -> None:
    expected = f"Error: Cannot listen at 127.0.0.1 port {port}: Address already in use;"
    assert refusal(run()).startswith(expected)


def test_a_port_of_which_old_connections_remain_is_free(
    run: Run, store: Store, listener: socket.socket
) -> None:
    make_user(store)
    with socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        # Whoever closes first is left with TIME_WAIT.
        accepted.close()
    listener.close()
    assert run().exit_code == 0


def test_a_host_without_address_is_refused(run: Run) -> None:
    assert "Cannot listen at nowhere.invalid" in refusal(run("--host", "nowhere.invalid"))


@pytest.mark.parametrize("arguments", [("--port", "0"), ("--workers", "0"), ("--port", "http")])
def test_numbers_out_of_range_are_usage_errors(runner: CliRunner, arguments: tuple[str]) -> None:
    assert runner.invoke(main, ["serve", *arguments]).exit_code == 2


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("version", "is_warned"), [((3, 51, 2), True), ((3, 51, 3), False)], ids=["old", "new"]
)
def test_an_old_sqlite_is_warned_of(
    run: Run, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], is_warned: bool
) -> None:
    monkeypatch.setattr(sqlite.driver, "sqlite_version_info", version)
    assert ("Warning: SQLite" in run().stderr) == is_warned


def test_the_schema_is_upgraded_before_anything_is_served(
    empty_settings: Settings, port: int
) -> None:
    runner = CliRunner(env=environment(empty_settings))
    assert "no user" in refusal(runner.invoke(main, ["serve", "--port", str(port)]))
    upgrade = runner.invoke(main, ["db", "upgrade"])
    assert upgrade.output == "The schema is current.\n"


def _load_and_wait(ready: Any) -> None:
    serve.load_worker("tokensrv.app:create_app")
    ready.send(os.getpid())
    signal.pause()


def _parent_of_a_worker(ready: Any) -> None:
    multiprocessing.get_context("fork").Process(target=_load_and_wait, args=(ready,)).start()
    signal.pause()


def test_a_worker_ends_with_its_parent(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    parent = context.Process(target=_parent_of_a_worker, args=(sender,))
    parent.start()
    sender.close()
    assert receiver.poll(20)
    receiver.recv()
    parent.kill()
    parent.join()
    # The end of the pipe is the end of the last process that had it.
    assert receiver.poll(20)
    with pytest.raises(EOFError):
        receiver.recv()


def test_a_worker_whose_parent_is_gone_does_not_start() -> None:
    # This process is nobody's worker.
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with pytest.raises(SystemExit, match="main process is gone"):
            serve.load_worker("tokensrv.app:create_app")
    finally:
        ctypes.CDLL(None).prctl(serve._PR_SET_PDEATHSIG, 0)  # noqa: SLF001  # undone, not tested
        for number, handler in handlers.items():
            signal.signal(number, handler)
