"""Real proxies in front of a small service, as the pages of ``docs/gates`` configure them.

Each page is followed to its end; here is whom the proxy lets in after that, and what the service
is told. ``test_spoofing`` is about clients that say more than they may.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest

from tests.live.gates.proxies import ALICE, AS_ALICE, Proxy, bearer, who
from tests.live.gates.tokens import Tokens
from tests.live.pages import followed
from tests.live.servers import Server, free_port

# What is stored where makes no difference to a proxy.
pytestmark = pytest.mark.sqlite


def test_nobody_is_told_how_to_come_in(proxy: Proxy) -> None:
    answer = proxy.ask()
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="tokensrv"'


@pytest.mark.parametrize("style", ["bearer", "basic", "private"])
def test_a_token_opens_it_and_the_service_knows_for_whom(
    proxy: Proxy, tokens: Tokens, style: str
) -> None:
    made = tokens.make("read_api", "read_user")
    basic = b64encode(f"x:{made['token']}".encode()).decode()
    presented = {
        "bearer": bearer(made["token"]),
        "basic": ("Authorization", f"Basic {basic}"),
        "private": ("PRIVATE-TOKEN", made["token"]),
    }
    answer = proxy.ask(presented[style], path="/hello?scope=api")
    assert who(answer) == ALICE
    assert answer.identity == ALICE | {
        "x-auth-scopes": "read_api read_user",
        "x-auth-token-id": str(made["id"]),
    }
    assert answer.path == "/hello?scope=api"


def test_a_token_without_the_scope_is_refused(proxy: Proxy, tokens: Tokens) -> None:
    made = tokens.make("read_user")
    assert proxy.ask(bearer(made["token"]), path="/hello?scope=read_user").status == 403
    refused = tokens.refused(made["id"])["data"]
    assert refused == {
        "gate": "auth",
        "check": "wanted",
        "method": "GET",
        "path": "/hello",
        "missing": "read_api",
    }


def test_a_revoked_token_is_refused_at_the_next_request(proxy: Proxy, tokens: Tokens) -> None:
    made = tokens.make("read_api")
    assert proxy.ask(bearer(made["token"])).status == 200
    tokens.revoke(made["id"])
    answer = proxy.ask(bearer(made["token"]))
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_an_unknown_token_and_two_that_differ_are_refused(proxy: Proxy, secret: str) -> None:
    assert proxy.ask(bearer("tsp_" + "0" * 36)).status == 401
    # The last one is a byte that is no UTF-8.
    for other in ("tsp_other", "", "\xff"):
        assert proxy.ask(bearer(secret), ("PRIVATE-TOKEN", other)).status == 401, other


def test_under_sudo_the_service_knows_who_really_calls(
    proxy: Proxy, server: Server, sudo_only: str
) -> None:
    for admin in (server.instance.admin_token, sudo_only):
        answer = proxy.ask(bearer(admin), ("Sudo", "alice"), ("X-Auth-Actor", "nobody"))
        assert who(answer) == AS_ALICE
        assert answer.identity["x-auth-scopes"] == "api"


@pytest.mark.parametrize(
    "sudo", [("",), (" ",), ("alice", "alice"), ("alice", "root"), ("nobody",), ("root",)]
)
def test_a_sudo_that_makes_no_sense_is_refused(
    proxy: Proxy, server: Server, sudo: tuple[str, ...]
) -> None:
    admin = bearer(server.instance.admin_token)
    assert proxy.ask(admin, *(("Sudo", value) for value in sudo)).status == 403


def test_a_user_cannot_act_as_another(proxy: Proxy, secret: str) -> None:
    assert proxy.ask(bearer(secret), ("Sudo", "root")).status == 403


def test_without_tokensrv_nobody_comes_in(
    proxy: Proxy, server: Server, variables: dict[str, str], tmp_path: Path, secret: str
) -> None:
    away = replace(server, port=free_port())
    folder, page = tmp_path / "page", proxy.kind.page
    with followed(page, away, variables, folder, to_the_end=False) as ports:
        answer = Proxy(proxy.kind, ports).ask(bearer(secret))
    assert answer.status in {502, 503}
