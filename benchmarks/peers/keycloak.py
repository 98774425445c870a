"""Keycloak, the identity server written in Java, with its own H2 database in memory."""

from __future__ import annotations

import tarfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.peers import Endpoint
from benchmarks.peers.oauth import Client, post
from benchmarks.peers.processes import CACHE, free_port, install_once, missing, run, started

_VERSION = "26.7.3"
_ARTIFACT = f"org.keycloak:keycloak-quarkus-dist:{_VERSION}:tar.gz"
_INSTALLED = CACHE / f"keycloak-{_VERSION}"
_COMMAND = _INSTALLED / f"keycloak-{_VERSION}" / "bin" / "kc.sh"
_DAY_SECONDS = 86_400
# Until the Java compiler has done with what an introspection needs, on one shared core.
_WARM_SECONDS = 30


class Keycloak:
    """Keycloak as `kc.sh build` and `kc.sh start --optimized` make it: its production mode."""

    name = f"Keycloak {_VERSION}, in memory"

    def why_not(self) -> str | None:
        """Return which command is missing; Maven is needed once."""
        return missing("java") if _COMMAND.exists() else missing("java", "mvn")

    def install(self) -> None:
        """Unpack the distribution and build it for the options that are fixed then."""
        install_once(_INSTALLED, _unpack)

    @contextmanager
    def running(self, cores: Collection[int]) -> Iterator[Endpoint]:
        """Give the server with a realm of its own, the client in it, and the client's token."""
        operator, client, port = Client("operator"), Client(), free_port()
        base = f"http://127.0.0.1:{port}"
        environment = {
            "KC_BOOTSTRAP_ADMIN_CLIENT_ID": operator.client_id,
            "KC_BOOTSTRAP_ADMIN_CLIENT_SECRET": operator.client_secret,
        }
        with (
            TemporaryDirectory() as folder,
            started(
                *_start(port), cores=cores, folder=Path(folder), environment=environment
            ) as service,
        ):
            service.wait_for(f"{base}/realms/master")
            _make_realm(base, operator, client)
            protocol = f"{base}/realms/benchmark/protocol/openid-connect"
            token = client.token(f"{protocol}/token")
            yield client.endpoint(
                f"{protocol}/token/introspect", token, service.pids, warm_seconds=_WARM_SECONDS
            )


def _unpack(folder: Path) -> None:
    copy = ["mvn", "--batch-mode", "--quiet", "dependency:copy"]
    run(*copy, f"-Dartifact={_ARTIFACT}", f"-DoutputDirectory={folder}", folder=folder)
    archive = folder / f"keycloak-quarkus-dist-{_VERSION}.tar.gz"
    with tarfile.open(archive) as distribution:
        distribution.extractall(folder, filter="data")
    archive.unlink()
    kc = folder / f"keycloak-{_VERSION}" / "bin" / "kc.sh"
    run(kc, "build", "--db=dev-mem", "--cache=local", folder=folder)


def _start(port: int) -> list[str]:
    return [
        *(str(_COMMAND), "start", "--optimized", "--log-level=warn"),
        *("--http-enabled=true", "--http-host=127.0.0.1", f"--http-port={port}"),
        f"--hostname=http://127.0.0.1:{port}",
    ]


def _make_realm(base: str, operator: Client, client: Client) -> None:
    token = operator.token(f"{base}/realms/master/protocol/openid-connect/token")
    realm = {
        "realm": "benchmark",
        "enabled": True,
        # The token outlives the run.
        "accessTokenLifespan": _DAY_SECONDS,
        "clients": [_described(client)],
    }
    post(f"{base}/admin/realms", headers={"Authorization": f"Bearer {token}"}, json=realm)


def _described(client: Client) -> dict[str, Any]:
    """Return the client as Keycloak's admin API takes it.

    Only a client in a token's audience is told that it is active, so the mapper puts it there;
    without the full scope the token does not carry the realm's roles.
    """
    audience = {
        "name": "audience",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-audience-mapper",
        "config": {"included.client.audience": client.client_id, "access.token.claim": "true"},
    }
    return {
        "clientId": client.client_id,
        "secret": client.client_secret,
        "fullScopeAllowed": False,
        "protocolMappers": [audience],
        "serviceAccountsEnabled": True,
        "standardFlowEnabled": False,
    }
