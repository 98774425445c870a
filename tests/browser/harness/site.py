"""The site that the browser's tests visit: a live server, and the people who have an account.

People are made as administrators make them, over the API.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import requests

from tests.databases import Databases
from tests.live.servers import SCRIPTS, Server, free_port, initialise, running
from tokensrv.config import env_name

_PATIENCE_SECONDS = 10
# Nobody has it, no list of common passwords, and no rule forbids it.
FIRST_PASSWORD = "first-violet-Kettle-94"
PASSWORD = "second-amber-Lantern-57"


@dataclass
class Person:
    """Somebody with an account, and the password that is his at the moment."""

    id: int
    username: str
    password: str
    # An admin chose it, so that it is replaced at the first sign-in.
    is_lent: bool = False


@dataclass(frozen=True)
class Site:
    """A running server, by the name under which browsers know it."""

    server: Server
    url: str
    root: Person
    numbers: Iterator[int] = field(default_factory=itertools.count)
    # Whatever was shown or given once, and must be found nowhere afterwards.
    secrets: list[str] = field(default_factory=lambda: [FIRST_PASSWORD, PASSWORD])

    def keep(self, *secrets: str) -> None:
        """Note secrets that a test has seen."""
        self.secrets.extend(secrets)

    @property
    def admin_token(self) -> str:
        """Return the secret of the first admin's token."""
        return self.server.instance.admin_token

    def api(self, method: str, path: str, secret: str = "", **options: Any) -> requests.Response:
        """Return what the API answers to the bearer of a secret, the first admin's by default."""
        return requests.request(
            method,
            f"{self.url}/api/v4{path}",
            headers={"PRIVATE-TOKEN": secret or self.admin_token},
            timeout=_PATIENCE_SECONDS,
            **options,
        )

    def person(self, username: str = "", **wanted: Any) -> Person:
        """Return somebody new, whose password an admin has chosen."""
        username = username or f"person{next(self.numbers)}"
        values = {
            "username": username,
            "name": username.title(),
            "email": f"{username}@example.org",
            "password": FIRST_PASSWORD,
        }
        answer = self.api("POST", "/users", json=values | wanted)
        assert answer.status_code == 201, answer.text
        return Person(answer.json()["id"], username, FIRST_PASSWORD, is_lent=True)

    def token(self, person: Person, *scopes: str, **wanted: Any) -> tuple[int, str]:
        """Return id and secret of a new token of his."""
        values = {"name": "a token", "scopes": scopes or ("read_user",)} | wanted
        path = f"/users/{person.id}/personal_access_tokens"
        answer = self.api("POST", path, json=values)
        assert answer.status_code == 201, answer.text
        self.keep(answer.json()["token"])
        return answer.json()["id"], answer.json()["token"]

    def exchange(self, person: Person) -> str:
        """Return the secret of a token with which the first admin acts as somebody (RFC 8693)."""
        kind = "urn:ietf:params:oauth:token-type:access_token"
        instance = self.server.instance
        answer = requests.post(
            f"{self.url}/oauth/token",
            data={
                "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                "subject_token": person.username,
                "subject_token_type": "urn:tokensrv:params:oauth:token-type:user",
                "actor_token": self.admin_token,
                "actor_token_type": kind,
            },
            auth=(instance.client_id, instance.client_secret),
            timeout=_PATIENCE_SECONDS,
        )
        assert answer.status_code == 200, answer.text
        secret = str(answer.json()["access_token"])
        self.keep(secret)
        return secret


@contextmanager
def opened(folder: Path, databases: Databases) -> Iterator[Site]:
    """Give a running site.

    It is called localhost, for passkeys need a name. Throttling is off: all tests come from one
    address. What was used and asked is soon on the pages.
    """
    port = free_port()
    url = f"http://localhost:{port}"
    instance = initialise(folder / "instance", databases)
    more = {
        env_name("external_url"): url,
        env_name("throttle"): "off",
        env_name("last_used_flush_seconds"): "1",
    }
    instance = replace(instance, environment={**instance.environment, **more})
    command = [str(SCRIPTS / "tokensrv"), "serve", "--workers", "2", "--port", str(port)]
    with running(instance, command, port, folder / "serve.log") as server:
        yield Site(server, url, Person(1, "root", instance.admin_password))
