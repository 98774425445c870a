"""node-oidc-provider, the OpenID provider of npm, with its in-memory adapter."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.peers import Endpoint
from benchmarks.peers.oauth import Client
from benchmarks.peers.processes import (
    CACHE,
    free_port,
    install_once,
    missing,
    run,
    started,
)

_SOURCE = Path(__file__).parent / "node-oidc-provider"


class NodeOidcProvider:
    """One Node.js process; the library has no other way to serve."""

    @property
    def name(self) -> str:
        """Return its name and version."""
        return f"node-oidc-provider {_version()}, in memory"

    def why_not(self) -> str | None:
        """Return which command is missing."""
        return missing("node", "npm")

    def install(self) -> None:
        """Install the locked packages, and bring the server beside them up to date."""
        install_once(_folder(), _install)
        shutil.copy(_SOURCE / "server.js", _folder())

    @contextmanager
    def running(self, cores: Collection[int]) -> Iterator[Endpoint]:
        """Give the server with the client and its token."""
        client, port = Client(), free_port()
        environment = {
            "NODE_ENV": "production",
            "PORT": str(port),
            "CLIENT_ID": client.client_id,
            "CLIENT_SECRET": client.client_secret,
        }
        # Node.js itself, not the Python script that starts it where it comes from PyPI.
        node = run("node", "--print", "process.execPath", folder=_folder()).strip()
        base = f"http://127.0.0.1:{port}"
        with (
            TemporaryDirectory() as folder,
            started(
                *(node, _folder() / "server.js"),
                cores=cores,
                folder=Path(folder),
                environment=environment,
            ) as service,
        ):
            service.wait_for(f"{base}/.well-known/openid-configuration")
            token = client.token(f"{base}/token")
            yield client.endpoint(f"{base}/token/introspection", token, service.pids)


def _version() -> str:
    package = json.loads((_SOURCE / "package.json").read_text())
    return str(package["dependencies"]["oidc-provider"])


def _folder() -> Path:
    return CACHE / f"node-oidc-provider-{_version()}"


def _install(folder: Path) -> None:
    shutil.copytree(_SOURCE, folder, dirs_exist_ok=True)
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=folder)
