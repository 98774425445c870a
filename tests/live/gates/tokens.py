"""Tokens of a live server, made in milliseconds, and what its event log says about them."""

from __future__ import annotations

from typing import Any

import requests

from tests.live.servers import Server


class Tokens:
    """The first admin, who makes tokens and reads what is on record of them."""

    def __init__(self, server: Server) -> None:
        self._url = f"{server.url}/api/v4"
        self._session = requests.Session()
        self._session.headers["PRIVATE-TOKEN"] = server.instance.admin_token

    def make(self, *scopes: str, user_id: int = 2) -> dict[str, Any]:
        """Return a new token of alice, or of the admin (1)."""
        url = f"{self._url}/users/{user_id}/personal_access_tokens"
        asked = {"name": "a token", "scopes": scopes}
        made: dict[str, Any] = self._found(self._session.post(url, json=asked))
        return made

    def secret(self, *scopes: str, user_id: int = 2) -> str:
        """Return its secret alone."""
        return str(self.make(*scopes, user_id=user_id)["token"])

    def revoke(self, token_id: int) -> None:
        """Revoke one."""
        url = f"{self._url}/personal_access_tokens/{token_id}"
        assert self._session.delete(url).status_code == 204

    def refused(self, token_id: int) -> dict[str, Any]:
        """Return the event of the one time that a token was refused."""
        (event,) = (event for event in self._refusals() if event["token_id"] == token_id)
        return event

    def refused_from(self, address: str) -> list[dict[str, Any]]:
        """Return the events of what was refused to a client, the latest first."""
        return [event for event in self._refusals() if event["ip"] == address]

    def _refusals(self) -> list[dict[str, Any]]:
        url = f"{self._url}/tokensrv/events?action=gate.refused&per_page=100"
        return list(self._found(self._session.get(url)))

    @staticmethod
    def _found(answer: requests.Response) -> Any:
        assert answer.ok, answer.text
        return answer.json()
