"""`tokensrv serve` with a certificate of its own, and another one without a stop."""

from __future__ import annotations

import signal
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import httpx
import pytest

from tests.databases import Databases
from tests.live.servers import SCRIPTS, children, free_port, initialise, started, wait_for
from tests.tls import Tls, make_certificate


@dataclass(frozen=True)
class TlsServer:
    """A running server with TLS."""

    url: str
    tls: Tls
    process: Popen[bytes]
    log: Path

    def get(self, path: str, **versions: ssl.TLSVersion) -> httpx.Response:
        """Return the answer on a new connection with whoever the certificate names."""
        context = ssl.create_default_context(cafile=self.tls.certificate)
        for limit, version in versions.items():
            setattr(context, limit, version)
        return httpx.get(self.url + path, verify=context, timeout=20)

    def is_ready(self) -> bool:
        """Return whether it answers with its present certificate."""
        assert self.process.poll() is None, self.log.read_text()
        with suppress(httpx.ConnectError):
            return self.get("/readyz").status_code == 200
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[TlsServer]:
    folder = tmp_path_factory.mktemp("tls")
    tls, port, log = make_certificate(folder), free_port(), folder / "serve.log"
    command = [str(SCRIPTS / "tokensrv"), "serve", "--port", str(port), "--workers", "1"]
    command += ["--tls-certificate", str(tls.certificate), "--tls-key", str(tls.key)]
    with started(initialise(folder / "instance", databases), command, log) as process:
        found = TlsServer(f"https://127.0.0.1:{port}", tls, process, log)
        wait_for(found.is_ready, "the server to be ready")
        yield found


def test_links_are_https(server: TlsServer) -> None:
    metadata = server.get("/.well-known/oauth-authorization-server").json()
    assert metadata["issuer"] == server.url


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_that_are_safe_are_spoken(server: TlsServer, version: ssl.TLSVersion) -> None:
    answer = server.get("/healthz", minimum_version=version, maximum_version=version)
    assert answer.status_code == 200


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_older_versions_are_not(server: TlsServer) -> None:
    old = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx.ConnectError):
        server.get("/healthz", minimum_version=old, maximum_version=old)


def test_who_speaks_without_tls_gets_no_answer(server: TlsServer) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(server.url.replace("https", "http") + "/healthz", timeout=20)


def test_a_new_certificate_is_taken_at_a_reload(server: TlsServer) -> None:
    # Its clients trust no other than the new one from here on.
    make_certificate(server.tls.certificate.parent)
    assert not server.is_ready()
    server.process.send_signal(signal.SIGHUP)
    wait_for(server.is_ready, "the new certificate")
    wait_for(lambda: len(children(server.process.pid)) == 1, "the end of the old worker")
    assert server.is_ready()


def test_a_new_certificate_without_its_key_is_not_taken(server: TlsServer) -> None:
    good = server.tls.key.read_bytes()
    server.tls.key.write_text("This is no key.")
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "reload.refused" in server.log.read_text(), "the refusal")
    server.tls.key.write_bytes(good)
    assert server.is_ready()
