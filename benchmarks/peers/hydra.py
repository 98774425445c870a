"""Ory Hydra, the OAuth server written in Go, on SQLite."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.peers import Endpoint
from benchmarks.peers.oauth import Client, post
from benchmarks.peers.processes import CACHE, free_port, install_once, missing, run, started

_VERSION = "2.3.0"
_MODULE = "github.com/ory/hydra/v2"
# Hydra's own go.mod replaces this one; Go heeds that in the main module alone.
_REPLACED = "github.com/gobuffalo/pop/v6=github.com/ory/pop/v6@v6.2.1-0.20241121111754-e5dfc0f3344b"
_INSTALLED = CACHE / f"hydra-{_VERSION}"
_PROGRAM = _INSTALLED / "hydra"


class Hydra:
    """Hydra with both of its ports, the public and the administrators'."""

    name = f"Ory Hydra {_VERSION}, SQLite"

    def why_not(self) -> str | None:
        """Return which command is missing, unless it is built already."""
        return None if _PROGRAM.exists() else missing("go", "gcc")

    def install(self) -> None:
        """Build it with SQLite, with the versions that its release names."""
        install_once(_INSTALLED, _build)

    @contextmanager
    def running(self, cores: Collection[int]) -> Iterator[Endpoint]:
        """Give the server with the client and its token.

        The administrators' port, where Hydra introspects, asks for no credentials.
        """
        public, admin = free_port(), free_port()
        base = f"http://127.0.0.1:{admin}"
        with TemporaryDirectory() as name:
            folder = Path(name)
            environment = _environment(folder, public, admin)
            run(
                _PROGRAM,
                "migrate",
                "sql",
                "up",
                "-e",
                "--yes",
                folder=folder,
                environment=environment,
            )
            serve = (_PROGRAM, "serve", "all", "--dev")
            with started(*serve, cores=cores, folder=folder, environment=environment) as service:
                service.wait_for(f"{base}/health/ready")
                client = Client()
                _register(base, client)
                token = client.token(f"http://127.0.0.1:{public}/oauth2/token")
                yield client.endpoint(f"{base}/admin/oauth2/introspect", token, service.pids)


def _build(folder: Path) -> None:
    run("go", "mod", "init", "tokensrv.invalid/hydra", folder=folder)
    run("go", "mod", "edit", "-replace", _REPLACED, folder=folder)
    run("go", "get", "-tool", f"{_MODULE}@v{_VERSION}", folder=folder)
    run("go", "build", "-tags", "sqlite", "-o", "hydra", _MODULE, folder=folder)


def _environment(folder: Path, public: int, admin: int) -> dict[str, str]:
    """Return its configuration; `--dev` only lets it do without TLS."""
    return {
        "DSN": f"sqlite://{folder}/hydra.db?_fk=true&mode=rwc",
        "LOG_LEVEL": "error",
        "SECRETS_SYSTEM": secrets.token_hex(20),
        "SERVE_ADMIN_HOST": "127.0.0.1",
        "SERVE_ADMIN_PORT": str(admin),
        "SERVE_PUBLIC_HOST": "127.0.0.1",
        "SERVE_PUBLIC_PORT": str(public),
        # It would report home otherwise.
        "SQA_OPT_OUT": "true",
        # The token outlives the run.
        "TTL_ACCESS_TOKEN": "24h",
        "URLS_SELF_ISSUER": f"http://127.0.0.1:{public}",
    }


def _register(base: str, client: Client) -> None:
    metadata = {
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "grant_types": ["client_credentials"],
    }
    post(f"{base}/admin/clients", json=metadata)
