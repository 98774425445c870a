"""django-oauth-toolkit, Django's OAuth provider, on SQLite under Granian."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.peers import Endpoint
from benchmarks.peers.oauth import Client
from benchmarks.peers.processes import free_port, run, started

_REPOSITORY = Path(__file__).parents[2]


class DjangoOauthToolkit:
    """A Django site with the toolkit's URLs, in one worker with one thread."""

    @property
    def name(self) -> str:
        """Return its name and the installed version."""
        return f"django-oauth-toolkit {_version() or ''}".rstrip() + ", SQLite"

    def why_not(self) -> str | None:
        """Return whether the test dependencies are missing."""
        return None if _version() else "django-oauth-toolkit is not installed"

    def install(self) -> None:
        """Do nothing: it is one of the project's test dependencies."""

    @contextmanager
    def running(self, cores: Collection[int]) -> Iterator[Endpoint]:
        """Give the site with the client and its token."""
        client, port = Client(), free_port()
        base = f"http://127.0.0.1:{port}"
        with TemporaryDirectory() as name:
            folder = Path(name)
            environment = _environment(folder)
            _prepare(folder, environment, client)
            command = _command(port)
            with started(*command, cores=cores, folder=folder, environment=environment) as service:
                service.wait_for(f"{base}/.well-known/oauth-authorization-server")
                token = client.token(f"{base}/token/")
                yield client.endpoint(
                    f"{base}/introspect/", token, service.pids, expected='"active": true'
                )


def _version() -> str | None:
    with suppress(PackageNotFoundError):
        return version("django-oauth-toolkit")
    return None


def _environment(folder: Path) -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": "benchmarks.peers.django_site",
        "PYTHONPATH": str(_REPOSITORY),
        "SITE_DATABASE": str(folder / "site.db"),
        "SITE_SECRET_KEY": secrets.token_hex(20),
    }


def _prepare(folder: Path, environment: dict[str, str], client: Client) -> None:
    """Make the database with the client in it.

    Its secret is stored as it is, as the toolkit offers for generated ones: hashed as a password,
    which is the default, each request would spend some 180 ms of CPU time on it.
    """
    django = [sys.executable, "-m", "django"]
    run(*django, "migrate", folder=folder, environment=environment)
    run(
        *django,
        "createapplication",
        f"--client-id={client.client_id}",
        f"--client-secret={client.client_secret}",
        "--no-hash-client-secret",
        "confidential",
        "client-credentials",
        folder=folder,
        environment=environment,
    )


def _command(port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--factory"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--blocking-threads", "1", "--http", "1", "--no-ws"),
        *("--log-level", "error", "django.core.wsgi:get_wsgi_application"),
    ]
