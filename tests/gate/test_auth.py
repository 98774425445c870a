"""Forward-auth through the front door, as proxies ask."""

from __future__ import annotations

import base64
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.conftest import START
from tests.factories import make_client
from tests.gate.conftest import HERE, Proxy
from tests.oauth.conftest import basic
from tests.services.conftest import failing
from tokensrv.domain.secret import Kind, mint
from tokensrv.http import health
from tokensrv.lookup import Lookup
from tokensrv.services.account.throttle import TOKEN
from tokensrv.services.directory import user_states
from tokensrv.services.lifecycle import tokens
from tokensrv.services.schema import SchemaState
from tokensrv.services.trail.events import COMMAND_LINE

# What a database makes of it is tested behind every gate, and with the fast path.
pytestmark = pytest.mark.sqlite

TABLE = ("GET,HEAD /files read_api", "* /files api", "GET / read_user")
BEARER = 'Bearer realm="tokensrv"'
BASIC = 'Basic realm="tokensrv", charset="UTF-8"'
INVALID = f'{BEARER}, error="invalid_token"'


def identity(answer: TestResponse) -> dict[str, str]:
    return {name: value for name, value in answer.headers if name.startswith("X-Auth-")}


def challenge(answer: TestResponse) -> str | None:
    return answer.headers.get("WWW-Authenticate")


def reason(answer: TestResponse) -> str:
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    return answer.text.partition(" - ")[2].rstrip()


def test_who_enters_is_told_in_headers_and_nothing_else(proxy: Proxy) -> None:
    token = proxy.token(proxy.alice, "read_api", "read_user")
    answer = proxy.asked("GET", "/a", token.secret)
    assert (answer.status_code, answer.data) == (200, b"")
    assert identity(answer) == {
        "X-Auth-User": "alice",
        "X-Auth-User-Id": str(proxy.alice.id),
        "X-Auth-Scopes": "read_api read_user",
        "X-Auth-Token-Id": str(token.record.id),
    }
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda secret: {"Authorization": f"Bearer {secret}"}, id="Bearer"),
        pytest.param(lambda secret: {"Authorization": basic("anybody", secret)}, id="Basic"),
        pytest.param(lambda secret: {"PRIVATE-TOKEN": secret}, id="PRIVATE-TOKEN"),
    ],
)
def test_a_token_comes_in_any_wrapping(proxy: Proxy, wrap: Any) -> None:
    secret = proxy.token(proxy.alice, "read_user").secret
    assert proxy.ask(headers=wrap(secret)).status_code == 200


def test_an_admin_acts_as_somebody_else_and_both_are_told(proxy: Proxy) -> None:
    token = proxy.token(proxy.root, "sudo")
    headers = {"PRIVATE-TOKEN": token.secret, "Sudo": "alice", "Sudo-Reason": "ticket 7"}
    original = {"X-Original-Method": "DELETE", "X-Original-URI": "/a%20b?private=1"}
    answer = proxy.ask("/gate/auth?scope=read_user", headers=headers | original)
    assert (answer.status_code, identity(answer)["X-Auth-Scopes"]) == (200, "api")
    assert identity(answer)["X-Auth-User"] == "alice"
    assert identity(answer)["X-Auth-Actor"] == "root"
    [event] = proxy.events()
    assert (event.action, event.actor, event.subject) == ("sudo.used", "root", "alice")
    assert (event.reason, event.ip) == ("ticket 7", HERE)
    assert event.data == {
        "gate": "auth",
        "method": "DELETE",
        "path": "/a b",
        "wanted": "read_user",
    }
    assert event.request_id == answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/gate/auth", BEARER, id="Bearer"),
        pytest.param("/gate/auth?challenge=bearer", BEARER, id="Bearer by name"),
        pytest.param("/gate/auth?challenge=basic", BASIC, id="Basic"),
        pytest.param("/gate/auth?challenge=BASIC", BEARER, id="something else"),
        pytest.param("/gate/auth?challenge=bearer&challenge=basic", BEARER, id="the first"),
        pytest.param("/gate/auth/a?challenge=basic", BEARER, id="not as the client likes"),
        pytest.param("/gate/auth?private_token=<token>", BEARER, id="with a token in the URL"),
    ],
)
def test_who_presents_nothing_is_asked_for_a_token(proxy: Proxy, path: str, expected: str) -> None:
    secret = proxy.token(proxy.alice, "api").secret
    answer = proxy.ask(path.replace("<token>", secret))
    assert (answer.status_code, challenge(answer)) == (401, expected)
    assert (reason(answer), proxy.events()) == ("A token is needed", [])


UNREADABLE = [
    pytest.param({"Authorization": "Bearer <token>", "PRIVATE-TOKEN": "x"}, id="two that differ"),
    pytest.param({"Authorization": "Basic !"}, id="unreadable"),
    pytest.param({"Authorization": "Negotiate <token>"}, id="another scheme"),
]


@pytest.mark.parametrize("headers", UNREADABLE)
def test_what_is_no_credential_is_refused_and_recorded(
    proxy: Proxy, headers: dict[str, str]
) -> None:
    secret = proxy.token(proxy.alice, "api").secret
    sent = {name: value.replace("<token>", secret) for name, value in headers.items()}
    answer = proxy.ask(headers=sent)
    assert (answer.status_code, challenge(answer)) == (401, INVALID)
    assert [event.data["check"] for event in proxy.events()] == ["credentials"]


def dead_tokens(proxy: Proxy) -> dict[str, str]:
    """Return a token of somebody active that opens nothing, for each reason why."""
    revoked = proxy.token(proxy.alice, "api")
    tokens.revoke(proxy.store, COMMAND_LINE, revoked.record.id)
    placed = proxy.token(proxy.alice, "api", allowed_ips=("198.51.100.1",))
    client_id = make_client(proxy.store).record.client_id
    meant = proxy.token(proxy.alice, "api", audience=(client_id,))
    return {"revoked": revoked.secret, "elsewhere": placed.secret, "for a client": meant.secret}


def test_whatever_is_wrong_with_a_token_the_answer_is_the_same(proxy: Proxy) -> None:
    secrets = [mint("ts", Kind.PERSONAL), "x", *dead_tokens(proxy).values()]
    dated = proxy.token(proxy.alice, "api", expires_on=START.date() + timedelta(days=1))
    assert proxy.asked("GET", "/", dated.secret).status_code == 200
    proxy.clock.advance(seconds=86400)
    answers = [proxy.asked("GET", "/", secret) for secret in (*secrets, dated.secret)]
    user_states.block(proxy.store, COMMAND_LINE, proxy.alice.id)
    answers.append(proxy.asked("GET", "/", proxy.token(proxy.alice, "api").secret))
    said = {(answer.status_code, challenge(answer), answer.text) for answer in answers}
    assert said == {(401, INVALID, "401 Unauthorized - The token is not valid here\n")}
    assert [identity(answer) for answer in answers] == [{}] * 7


def test_a_revoked_token_opens_nothing_from_then_on(proxy: Proxy) -> None:
    token = proxy.token(proxy.alice, "api")
    assert proxy.asked("GET", "/", token.secret).status_code == 200
    tokens.revoke(proxy.store, COMMAND_LINE, token.record.id)
    assert proxy.asked("GET", "/", token.secret).status_code == 401


def test_missing_scopes_are_told_and_recorded(proxy: Proxy) -> None:
    token = proxy.token(proxy.alice, "read_user")
    answer = proxy.asked("GET", "/a", token.secret, "?scope=read_user%20api")
    expected = f'{BEARER}, error="insufficient_scope", scope="read_user api"'
    assert (answer.status_code, challenge(answer)) == (403, expected)
    assert reason(answer) == "The token does not hold the scopes that this requires"
    [event] = proxy.events()
    assert (event.action, event.token_id) == ("gate.refused", token.record.id)
    assert event.data["missing"] == "api"


def test_where_people_are_asked_for_a_password_missing_scopes_ask_for_none(proxy: Proxy) -> None:
    secret = proxy.token(proxy.alice, "read_user").secret
    answer = proxy.asked("GET", "/a", secret, "?scope=api&challenge=basic")
    assert (answer.status_code, challenge(answer)) == (403, None)


def test_a_lost_sudo_header_opens_nothing(proxy: Proxy) -> None:
    answer = proxy.asked("GET", "/a", proxy.token(proxy.root, "sudo").secret)
    assert answer.status_code == 403
    assert challenge(answer) == f'{BEARER}, error="insufficient_scope"'


SUDO = [
    pytest.param("root", ("api", "sudo"), "", None, id="blank"),
    pytest.param("root", ("api", "sudo"), "alice,root", None, id="two"),
    pytest.param("root", ("api", "sudo"), "nobody", None, id="nobody"),
    pytest.param("root", ("api", "sudo"), "root", None, id="an admin"),
    pytest.param("alice", ("api",), "root", None, id="no admin"),
    pytest.param("root", ("api",), "alice", "sudo", id="no scope"),
]


@pytest.mark.parametrize(("who", "scopes", "sudo", "wanted"), SUDO)
def test_whatever_refuses_a_sudo_is_403_and_recorded(
    proxy: Proxy, who: str, scopes: tuple[str, ...], sudo: str, wanted: str | None
) -> None:
    token = proxy.token(proxy.root if who == "root" else proxy.alice, *scopes)
    answer = proxy.ask(headers={"PRIVATE-TOKEN": token.secret, "Sudo": sudo})
    expected = f'{BEARER}, error="insufficient_scope", scope="{wanted}"' if wanted else None
    assert (answer.status_code, challenge(answer)) == (403, expected)
    assert (reason(answer), identity(answer)) == ("Sudo was refused", {})
    [event] = proxy.events()
    assert (event.actor, event.token_id) == (who, token.record.id)


def test_the_table_requires_scopes_for_whatever_method_there_is(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.change(monkeypatch, gate_scopes=TABLE)
    reads = proxy.token(proxy.alice, "read_api").secret
    writes = proxy.token(proxy.alice, "api").secret
    for method, secret, status in [
        ("GET", reads, 200),
        ("HEAD", reads, 200),
        ("PUT", reads, 403),
        ("PROPFIND", reads, 403),
        ("PROPFIND", writes, 200),
    ]:
        headers = {"PRIVATE-TOKEN": secret}
        below = proxy.ask("/gate/auth/files/7?scope=", method=method, headers=headers)
        told = proxy.asked(method, "/files/7", secret)
        assert (method, below.status_code, told.status_code) == (method, status, status)


@pytest.mark.parametrize(("query", "status"), [("", 200), ("?scope=api", 403), ("?scope=", 403)])
def test_a_query_adds_to_what_the_table_requires(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, query: str, status: int
) -> None:
    proxy.change(monkeypatch, gate_scopes=TABLE)
    secret = proxy.token(proxy.alice, "read_api").secret
    assert proxy.asked("GET", "/files", secret, query).status_code == status


@pytest.mark.parametrize("uri", ["/files", "/elsewhere"])
def test_a_query_opens_nothing_that_the_table_does_not(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    # Some proxies hand a client's query over as theirs.
    proxy.change(monkeypatch, gate_scopes=("* /files api",))
    secret = proxy.token(proxy.alice, "read_user").secret
    assert proxy.asked("GET", uri, secret, "?scope=read_user").status_code == 403


def test_what_no_line_fits_is_recorded_as_that(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.change(monkeypatch, gate_scopes=("* /files api",))
    answer = proxy.asked("GET", "/other", proxy.token(proxy.alice, "api").secret)
    assert (answer.status_code, reason(answer)) == (403, "No rule allows this")
    assert [event.data["check"] for event in proxy.events()] == ["rule"]


def test_two_styles_of_headers_that_differ_are_refused_and_recorded(proxy: Proxy) -> None:
    headers = {"X-Original-URI": "/a", "X-Forwarded-Uri": "/b"}
    secret = proxy.token(proxy.alice, "api").secret
    answer = proxy.ask(headers=headers | {"PRIVATE-TOKEN": secret})
    assert answer.status_code == 403
    assert reason(answer) == "What is asked for cannot be told for certain"
    [event] = proxy.events()
    assert (event.data["check"], event.data["path"]) == ("request", "")


@pytest.mark.parametrize("path", ["/gate/authority", "/gate/auth.", "/gate", "/GATE/auth"])
def test_what_only_looks_like_the_gate_is_none(proxy: Proxy, path: str) -> None:
    secret = proxy.token(proxy.alice, "api").secret
    assert proxy.ask(path, headers={"PRIVATE-TOKEN": secret}).status_code == 404


ODD: dict[str, dict[str, Any]] = {
    "a WebSocket": {"HTTP_CONNECTION": "Upgrade", "HTTP_UPGRADE": "websocket"},
    "an empty label in Host": {"HTTP_HOST": "a..b"},
    "a long label in Host": {"HTTP_HOST": "x" * 64},
    "no domain in Host": {"HTTP_HOST": "a b"},
    "a chunked body": {"HTTP_TRANSFER_ENCODING": "chunked"},
    "a length that is none": {"CONTENT_LENGTH": "x"},
    "a huge body": {"CONTENT_LENGTH": "9" * 30},
    "a form that is none": {"CONTENT_TYPE": "multipart/form-data", "CONTENT_LENGTH": "7"},
    "Expect": {"HTTP_EXPECT": "100-continue"},
    "a strange Accept": {"HTTP_ACCEPT": ";;q=x"},
    "a cookie that is none": {"HTTP_COOKIE": "\xff=;;="},
    "a query in other letters": {"QUERY_STRING": "\xff%FF&;=&&"},
    "a range": {"HTTP_RANGE": "bytes=0-", "HTTP_IF_NONE_MATCH": "*"},
    "an address that is none": {"REMOTE_ADDR": ""},
    "a request id that is none": {"HTTP_X_REQUEST_ID": "\r\n"},
}


METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PROPFIND", "get", "TRACE"]
PLACES = ["/gate/auth", "/gate/auth/", "/gate/auth//a", "/gate/auth/a%0Ab/"]


def test_whatever_else_a_request_is_it_is_let_in_or_turned_away(proxy: Proxy) -> None:
    good = {"HTTP_PRIVATE_TOKEN": proxy.token(proxy.alice, "api").secret}
    for (name, odd), method, path in product(ODD.items(), METHODS, PLACES):
        answers = [proxy.ask(path, method=method, environ=odd | sent) for sent in (good, {})]
        statuses = [answer.status_code for answer in answers]
        assert (name, method, path, statuses) == (name, method, path, [200, 401])
        assert method != "HEAD" or answers[1].data == b""


def test_too_many_unknown_tokens_are_told_when_to_come_again(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.change(monkeypatch, throttle=True)
    good, unknown = proxy.token(proxy.alice, "api").secret, mint("ts", Kind.PERSONAL)
    statuses = {proxy.asked("GET", "/", unknown).status_code for _ in range(TOKEN.count)}
    answer = proxy.asked("GET", "/", unknown)
    assert (statuses, answer.status_code) == ({401}, 403)
    assert (answer.headers["Retry-After"], challenge(answer)) == ("900", None)
    assert proxy.asked("GET", "/", good).status_code == 200


def test_nobody_is_let_in_while_the_schema_is_another_one(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = proxy.token(proxy.alice, "api").secret
    health.seen(proxy.app).state = None
    monkeypatch.setattr(health, "state", lambda _: SchemaState.NEWER)
    assert proxy.asked("GET", "/", secret).status_code == 503


@pytest.mark.parametrize("sudo", [None, "alice"])
def test_nobody_is_let_in_while_storage_is_away(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, sudo: str | None
) -> None:
    secret = proxy.token(proxy.root, "api", "sudo").secret
    headers = {"PRIVATE-TOKEN": secret if sudo else "x"} | ({"Sudo": sudo} if sudo else {})
    with failing(proxy.store, "INSERT"):
        answer = proxy.ask(headers=headers)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert (identity(answer), proxy.events()) == ({}, [])


def test_the_address_is_the_clients_when_the_proxy_is_trusted(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.change(monkeypatch, trusted_proxies=(HERE,))
    secret = proxy.token(proxy.alice, "api", allowed_ips=("198.51.100.1",)).secret
    for client, status in [("198.51.100.1", 200), ("198.51.100.2", 401)]:
        headers = {"PRIVATE-TOKEN": secret, "X-Forwarded-For": f"203.0.113.1, {client}"}
        assert proxy.ask(headers=headers).status_code == status


def test_the_lookup_is_asked_once_and_never_for_what_cannot_be_a_token(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookup: Lookup = proxy.app.extensions["tokensrv_lookup"]
    asked, find = [], lookup.find

    def counted(**what: Any) -> Any:
        asked.append(what)
        return find(**what)

    monkeypatch.setattr(lookup, "find", counted)
    for secret in ("x", mint("ts", Kind.PERSONAL), base64.b64encode(b"x" * 99).decode()):
        assert proxy.asked("GET", "/", secret).status_code == 401
    assert len(asked) == 1
