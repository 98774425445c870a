"""The certificate that ``serve`` shows, and its key: checked before anybody relies on them."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from granian.constants import SSLProtocols


@dataclass(frozen=True, slots=True)
class Certificate:
    """Two PEM files; they are read anew by every worker that starts."""

    certificate: Path
    key: Path

    @property
    def options(self) -> Mapping[str, Any]:
        """Return what Granian is told.

        TLS 1.2 is let in because services that ask may be old; what Granian offers under it
        has forward secrecy and authenticated encryption only.
        """
        return {
            "ssl_cert": self.certificate,
            "ssl_key": self.key,
            "ssl_protocol_min": SSLProtocols.tls12,
        }

    def check(self) -> None:
        """Refuse files that cannot be read or do not belong together."""
        try:
            for file in (self.certificate, self.key):
                # OpenSSL would not say which of the two it misses.
                file.open("rb").close()
            # Without a password OpenSSL would ask for one on the terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
                self.certificate, self.key, password=""
            )
        except ssl.SSLError:
            raise click.ClickException(
                f"{self.certificate} and {self.key} cannot be used: they are no certificate and"
                " key in PEM, do not belong together, or the key is encrypted."
            ) from None
        except OSError as error:
            raise click.ClickException(
                f"{error.filename} cannot be read: {error.strerror}."
            ) from None
