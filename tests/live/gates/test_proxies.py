"""Real proxies in front of a small service, as the pages of ``docs/gates`` configure them.

Each page is followed to its end; here is whom the proxy lets in after that, and what the service
is told, whatever a client sends.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.databases import Databases
from tests.live.gates.proxies import (
    CLIENT,
    IDENTITY,
    KINDS,
    Answer,
    Kind,
    Proxy,
    bearer,
    settings_of,
    twins,
)
from tests.live.gates.tokens import Tokens
from tests.live.pages import followed, variables_of, with_alice
from tests.live.servers import Server, free_port, initialise, serving

# What is stored where makes no difference to a proxy.
pytestmark = [pytest.mark.xdist_group("live"), pytest.mark.sqlite]

ALICE = {"x-auth-user": "alice", "x-auth-user-id": "2"}
AS_ALICE = ALICE | {"x-auth-actor": "root"}
ROOT = {"x-auth-user": "root", "x-auth-user-id": "1"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Server]:
    """A tokensrv with the settings of the page that asks for the most of them."""
    folder = tmp_path_factory.mktemp("tokensrv")
    instance = initialise(folder / "instance", databases)
    settings = settings_of("docs/gates/envoy.md")
    (folder / "instance" / "tokensrv.toml").write_text(settings, encoding="utf-8")
    with serving(instance, folder / "serve.log") as server:
        yield server


@pytest.fixture(scope="module")
def variables(server: Server) -> dict[str, str]:
    return with_alice(variables_of(server))


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def proxy(
    server: Server,
    variables: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Proxy]:
    kind: Kind = request.param
    folder: Path = tmp_path_factory.mktemp("proxy") / kind.name
    with followed(kind.page, server, variables, folder, to_the_end=True) as ports:
        yield Proxy(kind, ports)


@pytest.fixture(scope="module")
def tokens(server: Server, variables: dict[str, str]) -> Tokens:
    """Make tokens for alice, who exists once the variables do."""
    return Tokens(server)


@pytest.fixture(scope="module")
def secret(tokens: Tokens) -> str:
    """Return a good token of alice."""
    return tokens.secret("read_api", "read_user")


@pytest.fixture(scope="module")
def sudo_only(tokens: Tokens) -> str:
    """Return a token of the admin that is for nothing but to act as others."""
    return tokens.secret("sudo", user_id=1)


def who(answer: Answer) -> dict[str, str]:
    """Return who the service was told calls; that nothing else came with it is checked here."""
    assert answer.status == 200
    assert set(answer.identity) <= set(IDENTITY)
    assert not answer.has("authorization", "private-token", "sudo", "sudo-reason")
    return {name: answer.identity[name] for name in AS_ALICE if name in answer.identity}


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
    assert proxy.ask(bearer(secret), ("PRIVATE-TOKEN", "tsp_other")).status == 401


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


@pytest.mark.parametrize("nominated", ["Sudo", "close, Sudo", "keep-alive, sudo"])
def test_a_sudo_that_is_named_in_connection_is_not_let_through_without_it(
    proxy: Proxy, sudo_only: str, nominated: str
) -> None:
    answer = proxy.ask(bearer(sudo_only), ("Connection", nominated), ("Sudo", "alice"))
    if proxy.kind.is_robbed:
        assert answer.status == 403
    else:
        assert who(answer) == AS_ALICE


def test_a_token_that_opens_more_than_sudo_needs_a_proxy_that_loses_nothing(
    proxy: Proxy, server: Server
) -> None:
    """Which is why the page of one that does says which tokens to hand out."""
    admin = bearer(server.instance.admin_token)
    answer = proxy.ask(admin, ("Connection", "close, Sudo"), ("Sudo", "alice"))
    assert who(answer) == (ROOT if proxy.kind.is_robbed else AS_ALICE)


def test_what_the_service_is_told_cannot_be_taken_away(proxy: Proxy, sudo_only: str) -> None:
    named = ", ".join(("close", *IDENTITY))
    answer = proxy.ask(bearer(sudo_only), ("Connection", named), ("Sudo", "alice"))
    assert who(answer) == AS_ALICE
    assert set(answer.identity) == set(IDENTITY)
    # Nor on the way from the service, which may be a proxy, too.
    told = [value for name, value in answer.arrived if name == "connection"]
    assert "x-auth" not in "".join(told).lower()


@pytest.mark.parametrize("name", IDENTITY)
def test_nobody_says_himself_who_he_is(proxy: Proxy, secret: str, name: str) -> None:
    spellings = (name, name.title(), name.upper())
    answer = proxy.ask(bearer(secret), *((spelling, "root") for spelling in spellings))
    assert who(answer) == ALICE
    assert "root" not in answer.identity.values()


@pytest.mark.parametrize("name", IDENTITY)
def test_nobody_says_it_by_a_name_that_means_the_same_to_others(
    proxy: Proxy, secret: str, name: str
) -> None:
    for twin in twins(name):
        answer = proxy.ask(bearer(secret), (twin, "root"))
        if proxy.kind.refuses_underscores:
            assert answer.status == 400
        else:
            assert who(answer) == ALICE
            assert "root" not in answer.identity.values()


@pytest.mark.parametrize(
    "claimed",
    [
        ("X-Original-URI", "/reports/"),
        ("X-Original-Method", "HEAD"),
        ("X-Forwarded-Uri", "/reports/"),
        ("X-Forwarded-Method", "HEAD"),
        ("X_Original_URI", "/reports/"),
        ("X_Forwarded_Uri", "/reports/"),
        ("X-Original_Method", "HEAD"),
        ("X-Forwarded-For", "192.0.2.9"),
        ("X_Forwarded_For", "192.0.2.9"),
    ],
    ids=lambda pair: pair[0],
)
def test_what_is_judged_is_the_request_that_was_made(
    proxy: Proxy, tokens: Tokens, claimed: tuple[str, str]
) -> None:
    made = tokens.make("read_user")
    answer = proxy.ask(bearer(made["token"]), claimed, path="/hello")
    if proxy.kind.refuses_underscores and "_" in claimed[0]:
        assert answer.status == 400
        return
    assert answer.status == 403
    event = tokens.refused(made["id"])
    assert (event["data"]["method"], event["data"]["path"]) == ("GET", "/hello")
    if proxy.kind.hides_loopback:
        assert event["ip"] != claimed[1]
    else:
        assert event["ip"] == CLIENT


@pytest.mark.parametrize("name", ["PRIVATE_TOKEN", "Private_Token"])
def test_a_token_counts_by_its_own_name_alone(proxy: Proxy, secret: str, name: str) -> None:
    expected = 400 if proxy.kind.refuses_underscores else 401
    assert proxy.ask((name, secret)).status == expected


@pytest.mark.parametrize(
    "path",
    [
        "/admin",
        "/admin/",
        "/admin?/hello",
        "//admin/",
        "/%61dmin/",
        "/admin%2f",
        "/hello/../admin/",
        "/hello/%2e%2e/admin/",
        "/hello/..%2fadmin/",
        "/hello/..;/admin/",
        "/hello/..%5cadmin/",
        "/hello/%00/../../admin/",
        "/hello%3f/../../admin/",
    ],
)
def test_no_spelling_of_a_path_opens_more(proxy: Proxy, secret: str, path: str) -> None:
    """The token is good for everything but what is below /admin.

    No 404 is the service's, which says 200 to every path.
    """
    assert proxy.ask(bearer(secret)).status == 200
    answer = proxy.ask(bearer(secret), path=path)
    assert answer.status in {400, 403, 404}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/reports", 200),
        ("GET", "/reports/", 200),
        ("GET", "/reports/today?scope=api", 200),
        ("GET", "/reportsfrom", 403),
        ("GET", "/hello/../reports/", 200),
        ("GET", "/reports/../hello", 403),
        ("GET", "/hello?/reports/", 403),
        ("GET", "/hello?scope=read_user", 403),
        ("POST", "/reports/", 403),
    ],
)
def test_the_settings_say_what_opens_what(
    proxy: Proxy, tokens: Tokens, method: str, path: str, status: int
) -> None:
    """The token is good for the reports alone, where the proxy itself asks for no scope."""
    answer = proxy.ask(bearer(tokens.secret("read_user")), path=path, method=method)
    assert answer.status == (status if proxy.kind.has_table else 403)


def test_without_tokensrv_nobody_comes_in(
    proxy: Proxy, server: Server, variables: dict[str, str], tmp_path: Path, secret: str
) -> None:
    away = replace(server, port=free_port())
    folder, page = tmp_path / "page", proxy.kind.page
    with followed(page, away, variables, folder, to_the_end=False) as ports:
        answer = Proxy(proxy.kind, ports).ask(bearer(secret))
    assert answer.status in {502, 503}
