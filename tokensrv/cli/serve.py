"""``tokensrv serve``: checks everything that can be refused in one sentence, then runs Granian.

It owns the life of the server's processes: who may start, what the workers are told, and that
they end with their parent. The application is ``tokensrv.app``'s. The parent never opens the
database, because its workers are forked from it.
"""

from __future__ import annotations

import ctypes
import fcntl
import ipaddress
import multiprocessing
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from flask import Flask
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from tokensrv.app import create_app
from tokensrv.cli.config import origins
from tokensrv.cli.folder import writable
from tokensrv.clock import SystemClock
from tokensrv.config import Settings, env_name, load
from tokensrv.db import Store, sqlite
from tokensrv.http import logs
from tokensrv.services import instance, schema

_PR_SET_PDEATHSIG = 1  # prctl(2)
_FIXED_SQLITE = (3, 51, 3)  # The first release without the WAL-reset bug.
_MAX_WORKERS = 4
# Granian's default buffer takes 400 kB of headers; above this the answer is 431.
_MAX_HEADER_BYTES = 16_384
# A client that sends its body byte by byte must not hold up a stop for ever.
_STOP_SECONDS = 20
# The server's own messages go the way of all others.
_LOGGING: dict[str, Any] = {
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {"handlers": [], "propagate": True}},
}


def _default_workers() -> int:
    return min(_MAX_WORKERS, len(os.sched_getaffinity(0)))


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=_default_workers,
    show_default=f"one per core, at most {_MAX_WORKERS}",
    help="Processes that answer.",
)
def command(host: str, port: int, workers: int) -> None:
    """Serve the API until Ctrl+C or SIGTERM."""
    settings = load(os.environ)
    with _only_server_of(settings.instance):
        address = _free_address(host, port)
        _warn_of_old_sqlite(settings)
        _in_a_child(settings)
        if origins(settings, os.environ)["external_url"] == "default":
            os.environ[env_name("external_url")] = _url(host, address, port)
        logs.configure()
        server = Granian(
            "tokensrv.app:create_app",
            address=address,
            port=port,
            interface=Interfaces.WSGI,
            workers=workers,
            blocking_threads=settings.threads,
            # HTTP/2 belongs to the proxy; it would have limits of its own.
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(max_buffer_size=_MAX_HEADER_BYTES),
            websockets=False,
            respawn_failed_workers=True,
            workers_kill_timeout=_STOP_SECONDS,
            log_level=LogLevels.error,
            log_dictconfig=_LOGGING,
        )
        started = f"tokensrv listens at {_url(host, address, port)}; Ctrl+C stops it."
        server.on_startup(lambda: click.echo(started, err=True))
        server.serve(target_loader=load_worker)


@contextmanager
def _only_server_of(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; refuses when it is held or the folder cannot be written."""
    with writable(folder):
        descriptor = os.open(folder / "serve.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as lock:
        # A worker that outlives a killed parent for a moment must not hold up the next start.
        os.register_at_fork(after_in_child=lock.close)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.ClickException(
                f"Another tokensrv serves the instance folder {folder}; stop it first."
            ) from None
        yield


def _free_address(host: str, port: int) -> str:
    """Return the IP address of the host; refuses when the port is taken there.

    The socket has SO_REUSEADDR, so that old connections are no obstacle, but not SO_REUSEPORT:
    with it, as Granian sets it, a second server would silently share the port.
    """
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        raise click.ClickException(
            f"Cannot listen at {host} port {port}: {error.strerror}; choose another with --host"
            " or --port."
        ) from None
    return str(where[0])


def _url(host: str, address: str, port: int) -> str:
    if ipaddress.ip_address(address).is_unspecified:
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _warn_of_old_sqlite(settings: Settings) -> None:
    if settings.sqlite_path and sqlite.driver.sqlite_version_info < _FIXED_SQLITE:
        click.echo(
            f"Warning: SQLite {sqlite.driver.sqlite_version} has a bug that can damage a database"
            " with several writers; use 3.51.3 or later, or PostgreSQL.",
            err=True,
        )


def _in_a_child(settings: Settings) -> None:
    """Prepare the database in a process of its own, so that this one never opens it."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as child:
        child.submit(prepare, settings).result()


def prepare(settings: Settings) -> None:
    """Upgrade the schema; refuses when there is nobody to serve."""
    schema.upgrade(settings, SystemClock())
    store: Store = create_app(settings).extensions["tokensrv"]
    if instance.is_empty(store):
        raise click.ClickException("The database has no user yet; run `tokensrv init`.")


def load_worker(_target: str) -> Flask:
    """Return the application of a worker, which from now on ends with its parent.

    A function of the module, since a spawned worker finds it by name.
    """
    # Granian's handlers come later; those inherited from the parent would swallow the signal.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    parent = multiprocessing.parent_process()
    # It may have died before we asked for the signal.
    if parent is None or os.getppid() != parent.pid:
        raise SystemExit("The server's main process is gone.")
    return create_app()
