"""Debian's docker-registry and skopeo, as ``docs/gates/registry.md`` configures them.

The page is followed to its end; here is who may do what there after that.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from uuid import uuid4

import gitlab
import pytest
import requests
from gitlab.v4.objects import User
from joserfc import jws
from sqlalchemy import update

from tests.databases import opened
from tests.live.pages import followed, variables_of
from tests.live.servers import Server
from tokensrv.clock import SystemClock
from tokensrv.config import load
from tokensrv.domain.secret import Kind, mint
from tokensrv.models import Token
from tokensrv.services.account.throttle import TOKEN

# What is stored where makes no difference to a registry.
pytestmark = pytest.mark.sqlite

PATIENCE_SECONDS = 30
IMAGE = "team/app"


@dataclass(frozen=True)
class Registry:
    """A running registry, with the image of the page in it, and whom it asks."""

    address: str
    folder: Path
    server: Server

    def skopeo(self, *arguments: str) -> str:
        """Return "" when it succeeds, else what it complains of."""
        done = subprocess.run(
            ["skopeo", *arguments],
            check=False,
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        assert (done.returncode == 0) == ("level=fatal" not in done.stderr), done.stderr
        return "" if done.returncode == 0 else done.stderr

    def pull(self, secret: str, name: str = IMAGE) -> str:
        """Copy an image from the registry."""
        to = f"dir:{self.folder / uuid4().hex}"
        credentials = ("--src-tls-verify=false", "--src-creds", f"x:{secret}")
        return self.skopeo("copy", *credentials, f"docker://{self.address}/{name}:1", to)

    def push(self, secret: str, name: str = IMAGE) -> str:
        """Copy the image to the registry."""
        credentials = ("--dest-tls-verify=false", "--dest-creds", f"x:{secret}")
        return self.skopeo("copy", *credentials, "dir:image", f"docker://{self.address}/{name}:1")

    def told(self, secret: str, *scopes: str, **headers: str) -> str:
        """Return what tokensrv says to the registry of whoever holds a token."""
        answer = requests.get(
            f"{self.server.url}/jwt/auth",
            params={"service": "container_registry", "scope": list(scopes)},
            headers={"PRIVATE-TOKEN": secret} | headers,
            timeout=PATIENCE_SECONDS,
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])

    def status(self, told: str, path: str) -> int:
        """Return how the registry answers to somebody of whom it was told this."""
        headers = {"Authorization": f"Bearer {told}"}
        url = f"http://{self.address}/v2/{path}"
        return requests.get(url, headers=headers, timeout=PATIENCE_SECONDS).status_code


@pytest.fixture(scope="module")
def admin(live_server: Server) -> gitlab.Gitlab:
    return gitlab.Gitlab(live_server.url, private_token=live_server.instance.admin_token)


@pytest.fixture(scope="module")
def alice(admin: gitlab.Gitlab) -> User:
    user = {"username": "alice", "name": "Alice", "email": "alice@example.com"}
    return admin.users.create(user | {"force_random_password": True})


@pytest.fixture(scope="module")
def registry(
    live_server: Server, alice: User, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    page, folder = "docs/gates/registry.md", tmp_path_factory.mktemp("registry") / "page"
    variables = variables_of(live_server) | {"TOKEN": made(alice, "api").token}
    with followed(page, live_server, variables, folder, to_the_end=True) as ports:
        yield Registry(ports("127.0.0.1:8080"), folder, live_server)


def made(user: User, *scopes: str, **more: object) -> Any:
    """Return a new token."""
    return user.personal_access_tokens.create({"name": "a token", "scopes": list(scopes)} | more)


DENIED = "requested access to the resource is denied"
UNAUTHORIZED = "HTTP Basic: Access denied."
FORBIDDEN = "403 (Forbidden)"
# What skopeo complains of when it pulls and when it pushes.
SCOPES = {
    ("api",): ("", ""),
    ("read_registry", "write_registry"): ("", ""),
    ("read_registry",): ("", DENIED),
    ("read_api",): ("", DENIED),
    # Docker's registry wants both of whoever pushes.
    ("write_registry",): (DENIED, DENIED),
    ("read_user",): (FORBIDDEN, FORBIDDEN),
    ("read_repository", "write_repository"): (FORBIDDEN, FORBIDDEN),
}


@pytest.mark.parametrize("scopes", SCOPES, ids=" ".join)
def test_scopes_decide_who_pulls_and_who_pushes(
    registry: Registry, alice: User, scopes: tuple[str, ...]
) -> None:
    secret = made(alice, *scopes).token
    for complaint, expected in zip(
        (registry.pull(secret), registry.push(secret)), SCOPES[scopes], strict=True
    ):
        assert expected in complaint
        assert bool(expected) == bool(complaint)


def test_a_token_for_sudo_alone_opens_nothing(registry: Registry, admin: gitlab.Gitlab) -> None:
    secret = made(admin.users.get(1), "sudo").token
    assert FORBIDDEN in registry.pull(secret)


def test_only_all_of_the_api_deletes(registry: Registry, alice: User) -> None:
    image = f"docker://{registry.address}/{IMAGE}-old:1"
    both, all_of_it = (
        made(alice, *scopes).token for scopes in (("read_registry", "write_registry"), ("api",))
    )
    assert registry.push(both, f"{IMAGE}-old") == ""
    options = ("delete", "--tls-verify=false", "--creds")
    assert registry.skopeo(*options, f"x:{both}", image) != ""
    assert registry.pull(both, f"{IMAGE}-old") == ""
    assert registry.skopeo(*options, f"x:{all_of_it}", image) == ""
    assert "manifest unknown" in registry.pull(both, f"{IMAGE}-old")


@pytest.mark.parametrize("secret", ["wrong", "tsp_" + "0" * 36])
def test_whatever_is_no_token_is_refused(registry: Registry, secret: str) -> None:
    assert UNAUTHORIZED in registry.pull(secret)


def test_guessing_tokens_is_stopped_and_a_good_one_still_opens(
    registry: Registry, admin: gitlab.Gitlab, alice: User
) -> None:
    def ask(secret: str) -> HTTPResponse:
        uri = "/jwt/auth?service=container_registry"
        connection.request("GET", uri, headers={"PRIVATE-TOKEN": secret})
        answer = connection.getresponse()
        answer.read()
        return answer

    # From an address that nothing else here comes from.
    here = ("127.0.0.2", 0)
    connection = HTTPConnection("127.0.0.1", registry.server.port, PATIENCE_SECONDS, here)
    with closing(connection):
        guesses = [ask(mint("ts", Kind.PERSONAL)).status for _ in range(TOKEN.count)]
        stopped, good = ask(mint("ts", Kind.PERSONAL)), ask(made(alice, "api").token)
    assert guesses == [401] * TOKEN.count
    assert (stopped.status, good.status) == (403, 200)
    assert 0 < int(stopped.headers["Retry-After"]) <= 900
    assert registry.pull(made(alice, "api").token) == ""
    refused = admin.http_list("/tokensrv/events", {"action": "gate.refused"}, get_all=True)
    of_guesser = [event["data"] for event in refused if event["ip"] == here[0]]
    told = {(data["gate"], data["check"]) for data in of_guesser}
    assert told == {("registry", "unknown"), ("registry", "too_many")}


def test_a_revoked_token_gets_nothing_more(registry: Registry, alice: User) -> None:
    token = made(alice, "api")
    assert registry.pull(token.token) == ""
    alice.manager.gitlab.personal_access_tokens.delete(token.id)
    assert UNAUTHORIZED in registry.pull(token.token)
    assert UNAUTHORIZED in registry.push(token.token)


def test_an_expired_token_gets_nothing_more(registry: Registry, alice: User) -> None:
    token = made(alice, "api")
    assert registry.pull(token.token) == ""
    clock = SystemClock()
    with opened(load(registry.server.instance.environment), clock) as store, store.write() as rows:
        expired = update(Token).where(Token.id == token.id).values(expires_at=Token.created_at)
        rows.execute(expired)
    assert UNAUTHORIZED in registry.pull(token.token)


def test_a_blocked_user_gets_nothing_more(registry: Registry, alice: User) -> None:
    secret = made(alice, "api").token
    alice.block()
    assert UNAUTHORIZED in registry.pull(secret)
    alice.unblock()
    assert registry.pull(secret) == ""


def test_admins_list_all_repositories(
    registry: Registry, admin: gitlab.Gitlab, alice: User
) -> None:
    catalog = "registry:catalog:*"
    told = registry.told(registry.server.instance.admin_token, catalog)
    assert registry.status(told, "_catalog") == 200
    told = registry.told(made(alice, "api").token, catalog)
    assert registry.status(told, "_catalog") == 401


def test_what_is_told_opens_that_alone_and_only_as_it_was_signed(
    registry: Registry, alice: User
) -> None:
    told = registry.told(made(alice, "api").token, f"repository:{IMAGE}:pull")
    assert registry.status(told, f"{IMAGE}/tags/list") == 200
    assert registry.status(told, "other/tags/list") == 401
    assert registry.status(told[:-4] + "AAAA", f"{IMAGE}/tags/list") == 401
    # The one within says who it is, and opens nothing.
    claims = jws.extract_compact(told.encode()).payload
    within = claims.split(b'"user":"')[1].split(b'"')[0].decode()
    assert registry.status(within, f"{IMAGE}/tags/list") == 401


def test_an_admin_who_acts_as_somebody_gets_what_he_may(registry: Registry, alice: User) -> None:
    asked = ("registry:catalog:*", f"repository:{IMAGE}:pull")
    told = registry.told(registry.server.instance.admin_token, *asked, Sudo="alice")
    assert registry.status(told, f"{IMAGE}/tags/list") == 200
    assert registry.status(told, "_catalog") == 401


def test_rules_decide_by_the_names_of_repositories(
    registry: Registry, admin: gitlab.Gitlab, alice: User
) -> None:
    secret = made(alice, "api").token
    assert registry.push(secret, "other/app") == ""
    for prefix, access in (("team/app", "read"), ("own", "write")):
        rule = {"prefix": prefix, "user": "alice", "access": access}
        admin.http_post("/tokensrv/rules", post_data=rule)
    assert registry.pull(secret, "team/app") == ""
    assert DENIED in registry.push(secret, "team/app")
    assert registry.push(secret, "own/deep/app") == ""
    assert DENIED in registry.pull(secret, "other/app")
    refused = admin.http_list("/tokensrv/events", {"action": "gate.refused"}, get_all=True)
    of_rule, *_ = (event for event in refused if event["data"]["check"] == "rule")
    assert of_rule["actor"] == "alice"
    assert (of_rule["data"]["method"], of_rule["data"]["path"]) == ("pull,push", "team/app")
