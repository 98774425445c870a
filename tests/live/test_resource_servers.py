"""Real resource servers and proxies in front of a live server of two workers, unmodified.

They are those of the pages under ``docs/integrate``, configured as these say. What the pages show
is tried there; here is whom each of them lets in, and whom not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import gitlab
import pytest
import requests
from gitlab.v4.objects import User

from tests.live.pages import followed, variables_of
from tests.live.servers import Server

# None of them sees which database is behind the server.
pytestmark = pytest.mark.sqlite

PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Kind:
    """What is different from one to the other."""

    page: str
    path: str = "/"
    # What it says to a token that is not good, or not good enough.
    refused: int = 401
    too_little: int = 401
    # What a sudo may do there. False: nothing, it is refused.
    knows_sudo: bool = True
    # For how long it may keep an answer.
    keeps_seconds: int = 0


KINDS = [
    Kind("django", "/hello", refused=403, too_little=403, knows_sudo=False, keeps_seconds=2),
    Kind("envoy"),
    Kind("fastapi", "/hello"),
    Kind("flask", "/hello", too_little=403),
    Kind("nginx"),
    Kind("node"),
]


@dataclass(frozen=True)
class Service:
    """A running one."""

    kind: Kind
    url: str

    def ask(self, secret: str | None, sudo: str | None = None) -> requests.Response:
        """Return its answer to a request with this token, as this user."""
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        if sudo is not None:
            headers["Sudo"] = sudo
        return requests.get(self.url, headers=headers, timeout=PATIENCE_SECONDS)

    def forget(self) -> None:
        """Wait until it has forgotten what it was told."""
        time.sleep(1.5 * self.kind.keeps_seconds)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.page)
def service(
    live_server: Server, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Service]:
    kind: Kind = request.param
    folder: Path = tmp_path_factory.mktemp("service") / kind.page
    page, variables = f"docs/integrate/{kind.page}.md", variables_of(live_server)
    with followed(page, live_server, variables, folder, to_the_end=False) as ports:
        yield Service(kind, f"http://127.0.0.1:{ports('8080')}{kind.path}")


@pytest.fixture
def alice(live_server: Server) -> User:
    """Return a user of this test's own."""
    admin = gitlab.Gitlab(live_server.url, private_token=live_server.instance.admin_token)
    name = f"alice-{uuid4().hex[:8]}"
    user = {"username": name, "name": name, "email": f"{name}@example.org"}
    return admin.users.create(user | {"force_random_password": True})


def token_of(user: User, *scopes: str) -> str:
    """Return the secret of a new token."""
    made = user.personal_access_tokens.create({"name": "a token", "scopes": list(scopes)})
    return str(made.token)


def test_a_token_opens_it_for_its_owner(service: Service, alice: User) -> None:
    answer = service.ask(token_of(alice, "api"))
    assert answer.status_code == 200
    assert alice.username in answer.text


@pytest.mark.parametrize("secret", [None, "", "x", "tsp_nothing", "tsp_" + "0" * 36, "a b"])
def test_whatever_is_no_token_is_refused(service: Service, secret: str | None) -> None:
    answer = service.ask(secret)
    assert answer.status_code == service.kind.refused


def test_a_token_without_the_scope_is_refused(service: Service, alice: User) -> None:
    assert service.ask(token_of(alice, "read_user")).status_code == service.kind.too_little


def test_a_token_counts_as_long_as_its_owner_may_use_it(service: Service, alice: User) -> None:
    secret = token_of(alice, "api")
    assert service.ask(secret).status_code == 200
    alice.block()
    service.forget()
    assert service.ask(secret).status_code == service.kind.refused
    alice.unblock()
    assert service.ask(secret).status_code == 200
    alice.delete()
    service.forget()
    assert service.ask(secret).status_code == service.kind.refused


def test_a_token_for_others_is_refused(live_server: Server, service: Service, alice: User) -> None:
    done = live_server.instance.command("client", "create", f"other {uuid4().hex}", "--json")
    other = done.stdout.split('"client_id": "')[1].split('"')[0]
    made = alice.personal_access_tokens.create(
        {"name": "for another", "scopes": ["api"], "audience": [other]}
    )
    assert service.ask(made.token).status_code == service.kind.refused


def test_an_admin_acts_as_the_user_where_that_is_possible(
    live_server: Server, service: Service, alice: User
) -> None:
    answer = service.ask(live_server.instance.admin_token, sudo=alice.username)
    if service.kind.knows_sudo:
        assert answer.status_code == 200
        assert alice.username in answer.text
        assert "root" in answer.text
    else:
        assert answer.status_code == 403


@pytest.mark.parametrize("sudo", ["", ",", "nobody-at-all", "root", "root,root"])
def test_a_sudo_that_is_refused_is_not_let_through_without_it(
    live_server: Server, service: Service, sudo: str
) -> None:
    answer = service.ask(live_server.instance.admin_token, sudo=sudo)
    assert answer.status_code == (service.kind.refused if service.kind.knows_sudo else 403)


def test_a_user_cannot_act_as_another(service: Service, alice: User) -> None:
    answer = service.ask(token_of(alice, "api"), sudo="root")
    assert answer.status_code == (service.kind.refused if service.kind.knows_sudo else 403)
