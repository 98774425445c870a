"""`tokensrv serve` up to the moment at which Granian takes over; the rest is tests/live."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import multiprocessing
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.factories import make_user
from tests.processes import environment
from tests.tls import Tls, make_certificate, private_key
from tokensrv.cli import main
from tokensrv.cli.serve import server as serve_server
from tokensrv.cli.serve import worker as serve_worker
from tokensrv.cli.serve.worker import load_worker
from tokensrv.config import FILE_NAME, Settings
from tokensrv.db import Store, sqlite
from tokensrv.services import schema
from tokensrv.services.schema import SchemaState

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
        self.hooks: list[Callable[[], None]] = []

    def on_startup(self, hook: Callable[[], None]) -> None:
        self.hooks.append(hook)

    def serve(self, *, target_loader: Any) -> None:
        self.loader = target_loader
        self.metrics_existed = target_loader.keywords["metrics"].is_dir()
        for hook in self.hooks:
            hook()

    @property
    def url(self) -> str:
        """Return what the workers are told about where they listen."""
        return str(self.loader.keywords["url"])


@pytest.fixture(autouse=True)
def _granian(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(serve_server, "Granian", RecordedGranian)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


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


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return make_certificate(tmp_path)


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
    assert RecordedGranian.last.loader.func is load_worker
    assert "ssl_cert" not in options


def test_the_folder_of_the_metrics_lives_as_long_as_the_server(run: Run, store: Store) -> None:
    make_user(store)
    assert run().exit_code == 0
    assert RecordedGranian.last.metrics_existed
    assert not RecordedGranian.last.loader.keywords["metrics"].exists()


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
    assert RecordedGranian.last.url == url.format(port=port)


def test_with_a_certificate_the_url_is_https(run: Run, store: Store, port: int, tls: Tls) -> None:
    make_user(store)
    done = run("--tls-certificate", str(tls.certificate), "--tls-key", str(tls.key))
    assert done.stderr == f"tokensrv listens at https://127.0.0.1:{port}; Ctrl+C stops it.\n"
    assert RecordedGranian.last.url == f"https://127.0.0.1:{port}"
    options = RecordedGranian.last.options
    assert (options["ssl_cert"], options["ssl_key"]) == (tls.certificate, tls.key)
    assert str(options["ssl_protocol_min"]) == "tls1.2"


@pytest.mark.parametrize("given", ["--tls-certificate", "--tls-key"])
def test_a_certificate_without_its_key_is_a_usage_error(run: Run, tls: Tls, given: str) -> None:
    done = run(given, str(tls.key))
    assert (done.exit_code, "go together" in done.stderr) == (2, True)


def _without_key(tls: Tls) -> str:
    tls.key.unlink()
    return f"{tls.key} cannot be read: No such file or directory."


def _with_another_key(tls: Tls) -> str:
    tls.key.write_bytes(private_key())
    return "do not belong together"


def _with_an_encrypted_key(tls: Tls) -> str:
    tls.key.write_bytes(private_key(password=b"secret"))
    return "the key is encrypted"


def _without_certificate(tls: Tls) -> str:
    tls.certificate.write_text("This is no certificate.")
    return "are no certificate"


@pytest.mark.parametrize(
    "spoil", [_without_key, _with_another_key, _with_an_encrypted_key, _without_certificate]
)
def test_a_certificate_that_cannot_be_used_is_refused(
    run: Run, store: Store, tls: Tls, spoil: Callable[[Tls], str]
) -> None:
    make_user(store)
    expected = spoil(tls)
    done = run("--tls-certificate", str(tls.certificate), "--tls-key", str(tls.key))
    assert expected in refusal(done)


def test_a_socket_can_be_listened_at(run: Run, store: Store, tmp_path: Path) -> None:
    make_user(store)
    path = tmp_path / "tokensrv.sock"
    done = run("--unix-socket", str(path), "--unix-socket-mode", "600")
    assert done.stderr == f"tokensrv listens at unix:{path}; Ctrl+C stops it.\n"
    options = RecordedGranian.last.options
    assert (options["uds"], options["uds_permissions"]) == (path, 0o600)
    assert "port" not in options
    # What was bound to try it is gone.
    assert not path.exists()


@pytest.fixture
def unix_listener(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "other.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield path


def test_a_socket_at_which_somebody_listens_is_refused(run: Run, unix_listener: Path) -> None:
    assert "another server listens there" in refusal(run("--unix-socket", str(unix_listener)))
    assert stat.S_ISSOCK(unix_listener.stat().st_mode)


def test_the_socket_of_a_killed_server_is_no_obstacle(
    run: Run, store: Store, tmp_path: Path
) -> None:
    make_user(store)
    path = tmp_path / "left.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert run("--unix-socket", str(path)).exit_code == 0


def test_a_file_that_is_no_socket_is_left_alone(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("important")
    assert "there is a file that is no socket" in refusal(run("--unix-socket", str(path)))
    assert path.read_text() == "important"


def test_a_socket_whose_server_accepts_nobody_at_the_moment_is_in_use(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "busy.sock"
    with ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen(0)
        waiting = [sockets.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
        assert [one.connect_ex(str(path)) for one in waiting][-1] == errno.EAGAIN
        assert "another server listens there" in refusal(run("--unix-socket", str(path)))
        assert path.exists()


def test_a_socket_that_says_anything_else_is_left_alone(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "datagrams.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        assert "Protocol wrong type for socket" in refusal(run("--unix-socket", str(path)))
        assert path.exists()


@pytest.mark.parametrize("path", ["/proc/tokensrv.sock", "x" * 110], ids=["folder", "length"])
def test_a_socket_that_cannot_be_made_is_refused(run: Run, path: str) -> None:
    assert f"Cannot listen at {path}: " in refusal(run("--unix-socket", path))


@pytest.mark.parametrize("mode", ["rw", "999", "1777", "-1"])
def test_a_mode_that_is_none_is_a_usage_error(run: Run, mode: str) -> None:
    assert run("--unix-socket", "x", f"--unix-socket-mode={mode}").exit_code == 2


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


def test_workers_inherit_which_schema_this_code_has(
    run: Run, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_user(store)
    schema._head.cache_clear()  # noqa: SLF001  # as in a process that has just started
    schema._known.cache_clear()  # noqa: SLF001
    assert run().exit_code == 0
    # From here on a worker may be forked, whatever `pip install -U` has made of the files.
    (tmp_path / "HEAD").write_text("9999_later\n")
    monkeypatch.setattr(schema, "files", lambda _package: tmp_path)
    assert schema.state(store) is SchemaState.CURRENT


WORKER_URL = "http://worker.example.com"


def _load_and_wait(ready: Any, metrics: Path) -> None:
    app = load_worker("tokensrv.app:create_app", url=WORKER_URL, metrics=metrics)
    ready.send(app.extensions["tokensrv"].settings.external_url)
    signal.pause()


def _parent_of_a_worker(ready: Any, metrics: Path) -> None:
    fork = multiprocessing.get_context("fork")
    fork.Process(target=_load_and_wait, args=(ready, metrics)).start()
    signal.pause()


@pytest.fixture
def worker(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], tuple[Any, Any]]]:
    """Start a worker with its parent; gives the parent and what the worker sends through."""
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    context = multiprocessing.get_context("fork")
    started = []

    def start() -> tuple[Any, Any]:
        receiver, sender = context.Pipe(duplex=False)
        parent = context.Process(target=_parent_of_a_worker, args=(sender, tmp_path))
        parent.start()
        sender.close()
        started.append(parent)
        assert receiver.poll(20)
        return parent, receiver

    yield start
    for parent in started:
        parent.kill()
        parent.join()


@pytest.mark.parametrize(
    ("variable", "file", "url"),
    [
        pytest.param("", "", WORKER_URL, id="none is given"),
        # It is the default, but it is given.
        pytest.param("http://127.0.0.1:8000", "", "http://127.0.0.1:8000", id="environment"),
        pytest.param(
            "", 'external_url = "https://x.example"', "https://x.example", id="settings file"
        ),
    ],
)
def test_a_worker_has_the_url_that_is_given_or_else_that_of_its_place(
    worker: Callable[[], tuple[Any, Any]],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    file: str,
    url: str,
) -> None:
    monkeypatch.setenv("TOKENSRV_EXTERNAL_URL", variable)
    (settings.instance / FILE_NAME).write_text(file)
    _, receiver = worker()
    assert receiver.recv() == url


def test_a_worker_ends_with_its_parent(worker: Callable[[], tuple[Any, Any]]) -> None:
    parent, receiver = worker()
    receiver.recv()
    parent.kill()
    parent.join()
    # The end of the pipe is the end of the last process that had it.
    assert receiver.poll(20)
    with pytest.raises(EOFError):
        receiver.recv()


def test_a_worker_whose_parent_is_gone_does_not_start(tmp_path: Path) -> None:
    # This process is nobody's worker.
    try:
        with pytest.raises(SystemExit, match="main process is gone"):
            load_worker("tokensrv.app:create_app", url=WORKER_URL, metrics=tmp_path)
    finally:
        ctypes.CDLL(None).prctl(serve_worker._PR_SET_PDEATHSIG, 0)  # noqa: SLF001  # undone, not tested
