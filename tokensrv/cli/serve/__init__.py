"""``tokensrv serve``: checks everything that can be refused in one sentence, then runs Granian.

Where it listens is ``place``'s, the certificate ``certificate``'s, whether workers can be started
``preparation``'s, how Granian is set up ``server``'s, what its processes do before they answer
``worker``'s, and SIGHUP ``reload``'s.
"""

from __future__ import annotations

import fcntl
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

from tokensrv.cli.folder import writable
from tokensrv.cli.serve.certificate import Certificate
from tokensrv.cli.serve.place import Place, UnixSocket, free_port
from tokensrv.cli.serve.preparation import checked, prepared
from tokensrv.cli.serve.reload import Reload
from tokensrv.cli.serve.server import granian
from tokensrv.cli.serve.worker import load_worker
from tokensrv.config import Settings, load
from tokensrv.db import sqlite
from tokensrv.http import logs
from tokensrv.services import schema

__all__ = ["command", "granian"]

_FIXED_SQLITE = (3, 51, 3)  # The first release without the WAL-reset bug.
_MAX_WORKERS = 4
# The workers' numbers change all the time, and need not outlive the machine.
_MEMORY = Path("/dev/shm")  # noqa: S108  # a folder in it gets a name that nobody can guess
_FILE = click.Path(dir_okay=False, path_type=Path)


def _default_workers() -> int:
    return min(_MAX_WORKERS, len(os.sched_getaffinity(0)))


def _mode(_context: click.Context, _parameter: click.Parameter, value: str) -> int:
    try:
        mode = int(value, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise click.BadParameter(f"{value!r} is not a mode such as 660.")
    return mode


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option("--unix-socket", type=_FILE, help="Socket to listen at, instead of host and port.")
@click.option(
    "--unix-socket-mode",
    default="660",
    show_default=True,
    callback=_mode,
    help="Who may connect to it, as chmod has it.",
)
@click.option("--tls-certificate", type=_FILE, help="PEM file with the certificate and its chain.")
@click.option("--tls-key", type=_FILE, help="PEM file with the certificate's key.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=_default_workers,
    show_default=f"one per core, at most {_MAX_WORKERS}",
    help="Processes that answer.",
)
def command(
    host: str,
    port: int,
    unix_socket: Path | None,
    unix_socket_mode: int,
    tls_certificate: Path | None,
    tls_key: Path | None,
    workers: int,
) -> None:
    """Serve the API until Ctrl+C or SIGTERM; SIGHUP takes changed settings."""
    # What changes from now on until the server listens is read before that anyway.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # A worker may be started when the files of another release are in the place of this code.
    schema.read_revisions()
    certificate = _certificate(tls_certificate, tls_key)
    settings = load(os.environ)
    with _only_server_of(settings.instance), _metrics_folder() as metrics:
        place = (
            UnixSocket(unix_socket, unix_socket_mode).free()
            if unix_socket
            else free_port(host, port, is_tls=certificate is not None)
        )
        _warn_of_old_sqlite(settings)
        settings = prepared(certificate)
        logs.configure()
        _serve(place, certificate, settings, workers=workers, metrics=metrics)


def _serve(
    place: Place,
    certificate: Certificate | None,
    settings: Settings,
    *,
    workers: int,
    metrics: Path,
) -> None:
    server = granian(
        "tokensrv.app:create_app",
        workers=workers,
        threads=settings.threads,
        **place.options,
        **(certificate.options if certificate else {}),
    )
    server.on_startup(
        lambda: click.echo(f"tokensrv listens at {place}; Ctrl+C stops it.", err=True)
    )
    server.on_startup(Reload(server, partial(checked, certificate)).install)
    server.serve(target_loader=partial(load_worker, url=place.url, metrics=metrics))


def _certificate(certificate: Path | None, key: Path | None) -> Certificate | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise click.UsageError("--tls-certificate and --tls-key go together.")
    return Certificate(certificate, key)


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


@contextmanager
def _metrics_folder() -> Iterator[Path]:
    """Give the folder in which the workers leave their numbers for each other."""
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="tokensrv-metrics-", dir=where) as folder:
        yield Path(folder)


def _warn_of_old_sqlite(settings: Settings) -> None:
    if settings.sqlite_path and sqlite.driver.sqlite_version_info < _FIXED_SQLITE:
        click.echo(
            f"Warning: SQLite {sqlite.driver.sqlite_version} has a bug that can damage a database"
            " with several writers; use 3.51.3 or later, or PostgreSQL.",
            err=True,
        )
