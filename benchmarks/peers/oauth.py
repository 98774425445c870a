"""A confidential client, as every measured service gets one: its token, its question.

It owns what RFC 6749 and RFC 7662 have in common for all of them; where the endpoints are, and how
the client is registered, is each service's own.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx

from benchmarks.peers import Endpoint

_FORM = "application/x-www-form-urlencoded"
# The first answer of a cold virtual machine is slow.
_PATIENCE_SECONDS = 60


def post(
    url: str, *, headers: Mapping[str, str] | None = None, content: str = "", json: Any = None
) -> httpx.Response:
    """Return the answer to a form or a JSON document; raises RuntimeError when it is no 2xx."""
    body: dict[str, Any] = {"content": content} if json is None else {"json": json}
    try:
        answer = httpx.post(url, headers=headers, timeout=_PATIENCE_SECONDS, **body)
        return answer.raise_for_status()
    except httpx.HTTPError as error:
        raise RuntimeError(f"{url} refused or broke off: {error}") from error


@dataclass(frozen=True)
class Client:
    """A client with a secret of its own, made anew for every run."""

    client_id: str = "benchmark"
    client_secret: str = field(default_factory=lambda: secrets.token_hex(20), repr=False)

    def headers(self) -> dict[str, str]:
        """Return the headers of a form with these credentials (RFC 6749 §2.3.1)."""
        pair = f"{self.client_id}:{self.client_secret}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}", "Content-Type": _FORM}

    def token(self, url: str) -> str:
        """Return an access token for the client itself (RFC 6749 §4.4)."""
        form = urlencode({"grant_type": "client_credentials"})
        return str(post(url, headers=self.headers(), content=form).json()["access_token"])

    def endpoint(
        self,
        url: str,
        token: str,
        pids: Callable[[], list[int]],
        *,
        expected: str = '"active":true',
        warm_seconds: int = Endpoint.warm_seconds,
    ) -> Endpoint:
        """Return where this token is introspected; raises RuntimeError when it is not active."""
        body = urlencode({"token": token})
        answer = post(url, headers=self.headers(), content=body)
        if expected not in answer.text:
            raise RuntimeError(f"{url} should say {expected}, said {answer.text}")
        return Endpoint(url, pids, self.headers(), [body], expected, warm_seconds)
