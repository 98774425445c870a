"""The fast path: whatever is sent, nobody can tell by the answer who gave it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder, run_wsgi_app

from tests.conftest import START, QueryRecorder
from tests.factories import make_client, make_exchanged, make_user
from tests.gate.conftest import HERE, Proxy
from tests.oauth.conftest import basic
from tokensrv.clock import midnight
from tokensrv.config import Settings
from tokensrv.domain.secret import Kind, mint, token_digest
from tokensrv.errors import StorageUnavailable
from tokensrv.gate.fastpath import FastPath
from tokensrv.http import health
from tokensrv.services.directory import user_states, users
from tokensrv.services.lifecycle import tokens
from tokensrv.services.reports.event_lists import EventFilter, list_events
from tokensrv.services.trail.events import COMMAND_LINE

Environ = dict[str, Any]
PATH = "/gate/auth"
TABLE = ("GET,HEAD /files read_user", "* /files api", "* /hooks deploy", "GET / read_api")


@dataclass(frozen=True)
class Stage:
    """A proxy, tokens of every kind by name, both ways in, and what is left behind elsewhere."""

    proxy: Proxy
    fast: FastPath
    secrets: dict[str, str]
    plain: Settings
    left: list[tuple[Any, ...]] = field(default_factory=list)

    def filled(self, text: str) -> str:
        """Return the text with the secrets for their names in angle brackets."""
        for name, secret in self.secrets.items():
            text = text.replace(f"<{name}>", secret)
        return text


@pytest.fixture
def stage(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Stage:
    store, alice, root = proxy.store, proxy.alice, proxy.root
    bob = make_user(store, "bob")
    client_id = make_client(store).record.client_id
    made = {
        "alice": (narrow := proxy.token(alice, "read_api", "self_rotate")),
        "api": proxy.token(alice, "api"),
        "admin": (admin := proxy.token(root, "api", "sudo")),
        "sudo": proxy.token(root, "sudo"),
        "dated": proxy.token(alice, "api", expires_on=START.date() + timedelta(days=1)),
        "revoked": (revoked := proxy.token(alice, "api")),
        "blocked": proxy.token(bob, "api"),
        "meant": proxy.token(alice, "api", audience=(client_id,)),
        "placed": proxy.token(alice, "api", allowed_ips=("198.51.100.0/24",)),
        "acting": make_exchanged(store, admin, alice),
        "narrower": make_exchanged(store, narrow, alice, ("read_user",)),
    }
    tokens.revoke(store, COMMAND_LINE, revoked.record.id)
    user_states.block(store, COMMAND_LINE, bob.id)
    secrets = {name: token.secret for name, token in made.items()}
    secrets["unknown"] = mint("ts", Kind.PERSONAL)
    fast = proxy.app.wsgi_app
    assert isinstance(fast, FastPath)
    stage = Stage(proxy, fast, secrets, store.settings)
    # Everything is written, so that both ways leave the same behind, whichever comes first.
    monkeypatch.setattr(proxy.usage, "is_repeated", lambda _: False)
    monkeypatch.setattr(proxy.usage, "used", lambda *use: stage.left.append(use))
    monkeypatch.setattr(proxy.metrics, "at_gate", lambda *visit: stage.left.append(visit))
    monkeypatch.setattr(proxy.metrics, "sudo", lambda check: stage.left.append((check,)))
    return stage


@dataclass(frozen=True)
class Sent:
    """A request, in which secrets are written by their names."""

    authorization: str | None = "Bearer <alice>"
    method: str = "GET"
    path: str = PATH
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    environ: tuple[tuple[str, Any], ...] = ()
    table: tuple[str, ...] = ()

    def to(self, stage: Stage) -> Environ:
        """Return the environment that a server makes of it."""
        query = stage.filled(self.query)
        environ = EnvironBuilder(method=self.method, query_string=query).get_environ()
        environ |= {"PATH_INFO": self.path, "REMOTE_ADDR": HERE}
        for name, value in self.headers:
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = stage.filled(value)
        if self.authorization is not None:
            environ["HTTP_AUTHORIZATION"] = _authorization(stage.filled(self.authorization))
        return environ | dict(self.environ)


def _authorization(text: str) -> str:
    scheme, _, value = text.partition(" ")
    return basic(*value.split(":", 1)) if scheme == "Basic" and ":" in value else text


def outcome(stage: Stage, app: Any, sent: Sent) -> tuple[Any, ...]:
    """Return everything that an answer is and leaves behind."""
    store, environ = stage.proxy.store, sent.to(stage)
    store.settings = replace(stage.plain, gate_scopes=sent.table)
    given = environ.get("HTTP_X_REQUEST_ID")
    before = list_events(store, EventFilter(limit=1))[-1].seq
    stage.left.clear()
    chunks, status, headers = run_wsgi_app(app, environ, buffered=True)
    ours = headers.get("X-Request-Id")
    answered = [
        (name, "fresh" if name == "X-Request-Id" and value != given else value)
        for name, value in headers.to_wsgi_list()
    ]
    events = [
        replace(event, seq=0, prev_hash="", hash="", request_id=str(event.request_id == ours))
        for event in list_events(store, EventFilter(since=before, limit=100))
        if event.seq > before
    ]
    return status, answered, b"".join(chunks), events, list(stage.left)


def assert_same(stage: Stage, sent: Sent) -> tuple[Any, ...]:
    with_it = outcome(stage, stage.fast, sent)
    assert with_it == outcome(stage, stage.fast.flask, sent)
    return with_it


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """Return the usual value or, in one case of four, another one."""
    return st.integers(0, 3).flatmap(lambda n: st.just(usual) if n else st.sampled_from(others))


NAMES = [
    "alice",
    "api",
    "admin",
    "sudo",
    "dated",
    "revoked",
    "blocked",
    "meant",
    "placed",
    "acting",
    "narrower",
    "unknown",
]
CREDENTIALS = st.one_of(
    st.sampled_from(NAMES).map("Bearer <{}>".format),
    st.sampled_from(NAMES).map("Basic somebody:<{}>".format),
    st.sampled_from([None, "", "Bearer x", "Bearer", "Basic !", "Basic :<alice>", "Digest <api>"]),
    st.text(st.characters(max_codepoint=255), max_size=8),
)
TEXT = st.text(st.characters(max_codepoint=255), max_size=8)
URIS = st.one_of(
    st.sampled_from(["/files/7", "/files", "/hooks/7?sudo=bob", "/", "", "/a//b", "/%2e./files"]),
    TEXT.map(lambda text: f"/{quote(text, encoding='latin-1')}"),
    TEXT.map("/{}".format),
)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "get", "PROPFIND", "", "\xff"])
HEADER = st.one_of(
    st.tuples(
        st.just("Sudo"),
        st.sampled_from(["alice", "ALICE", "bob", "nobody", "root", "", "alice,bob", "\xc3\xbc"]),
    ),
    st.tuples(st.just("Sudo-Reason"), st.sampled_from(["ticket 7", "", "\xc3\xbc", "x" * 256])),
    st.tuples(st.just("PRIVATE-TOKEN"), st.sampled_from(["<alice>", "<admin>", "", "x"])),
    st.tuples(st.sampled_from(["X-Original-Method", "X-Forwarded-Method"]), METHODS),
    st.tuples(st.sampled_from(["X-Original-URI", "X-Forwarded-Uri"]), URIS),
    st.tuples(st.just("X-Request-Id"), st.sampled_from(["abc-1", "", "a b", "<alice>", "x" * 65])),
    st.tuples(st.just("X-Forwarded-For"), st.sampled_from(["198.51.100.7", "x"])),
    st.tuples(st.just("X-Auth-User"), st.just("root")),
    st.tuples(st.just("Transfer-Encoding"), st.just("chunked")),
    st.tuples(st.just("Upgrade"), st.just("websocket")),
    st.tuples(st.just("Connection"), st.sampled_from(["upgrade", "close, Sudo"])),
    st.tuples(st.just("Host"), st.sampled_from(["evil.example", "", "a b"])),
    st.tuples(st.just("Accept"), st.sampled_from(["text/html", ";"])),
)
ENVIRON = st.one_of(
    st.tuples(st.just("REMOTE_ADDR"), st.sampled_from(["", "198.51.100.3", "::1", "x"])),
    st.tuples(st.just("SCRIPT_NAME"), st.just("/mounted")),
    st.tuples(st.just("CONTENT_LENGTH"), st.sampled_from(["7", "-1", "x"])),
)
TOLD = st.builds(
    lambda style, method, uri: tuple(zip(style, (method, uri), strict=True)),
    st.sampled_from(
        [("X-Original-Method", "X-Original-URI"), ("X-Forwarded-Method", "X-Forwarded-Uri")]
    ),
    METHODS,
    URIS,
)
REQUESTS = st.builds(
    Sent,
    authorization=CREDENTIALS,
    method=st.sampled_from(["GET", "HEAD", "OPTIONS", "POST", "PROPFIND", "get"]),
    path=st.one_of(
        st.just(PATH),
        URIS.map(f"{PATH}{{}}".format),
        st.sampled_from([f"/{PATH}", f"{PATH}x", "/healthz", "/oauth/introspect"]),
    ),
    query=mostly(
        "",
        "scope=read_user",
        "scope=read_api+deploy&challenge=basic",
        "scope=",
        "challenge=basic",
        "scope=%22",
        "private_token=<api>&sudo=alice",
    ),
    headers=st.builds(
        lambda told, others: (*told, *others),
        st.one_of(st.just(()), TOLD),
        st.lists(HEADER, max_size=3),
    ),
    environ=st.lists(ENVIRON, max_size=1).map(tuple),
    table=st.sampled_from([(), TABLE]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(sent=REQUESTS)
def test_any_request_is_answered_alike_with_and_without_it(stage: Stage, sent: Sent) -> None:
    status, headers, *_ = assert_same(stage, sent)
    if sent.path.startswith((f"{PATH}/", f"{PATH}?")) or sent.path == PATH:
        assert status.split()[0] in {"200", "401", "403"}
    is_told = any(name.startswith("X-Auth-") for name, _ in headers)
    assert is_told <= status.startswith("200")


FILES = (("X-Original-Method", "GET"), ("X-Original-URI", "/files/7"))
ENTERED = [
    pytest.param(Sent(), id="Bearer"),
    pytest.param(Sent("Basic anybody:<api>"), id="Basic"),
    pytest.param(Sent(None, headers=(("PRIVATE-TOKEN", "<api>"),)), id="PRIVATE-TOKEN"),
    pytest.param(Sent(query="scope=read_user&challenge=basic"), id="scopes"),
    pytest.param(Sent(headers=FILES, table=TABLE), id="a table"),
    pytest.param(Sent("Bearer <api>", "PROPFIND", f"{PATH}/files/7", table=TABLE), id="below"),
    pytest.param(Sent(method="HEAD"), id="HEAD"),
    pytest.param(Sent("Bearer <sudo>", headers=(("Sudo", "alice"),)), id="sudo"),
    pytest.param(Sent("Bearer <acting>"), id="exchanged"),
    pytest.param(Sent("Bearer <narrower>"), id="made narrower"),
]


@pytest.mark.parametrize("sent", ENTERED)
def test_who_enters_is_told_without_flask(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, sent: Sent
) -> None:
    found = assert_same(stage, sent)
    assert found[0] == "200 OK"

    def enter(*_: object) -> Iterable[bytes]:
        raise AssertionError("Flask was entered")

    monkeypatch.setattr(stage.fast, "flask", enter)
    assert outcome(stage, stage.fast, sent) == found


TURNED_AWAY = [
    pytest.param(Sent("Bearer <unknown>"), "401", id="unknown"),
    pytest.param(Sent("Bearer <alice>", query="scope=deploy"), "403", id="without the scope"),
    pytest.param(Sent("Bearer <admin>", headers=(("Sudo", "nobody"),)), "403", id="a sudo"),
    pytest.param(Sent("Bearer <admin>", headers=(("Sudo", ""),)), "403", id="a blank sudo"),
    pytest.param(Sent("Basic !"), "401", id="unreadable"),
    pytest.param(Sent(headers=(("X-Original-URI", "/"),), table=TABLE), "403", id="unclear"),
]


@pytest.mark.parametrize(("sent", "status"), TURNED_AWAY)
def test_who_is_turned_away_is_looked_up_written_and_counted_once(
    stage: Stage, query_recorder: QueryRecorder, sent: Sent, status: str
) -> None:
    found, _, _, events, left = assert_same(stage, sent)
    query_recorder.clear()
    outcome(stage, stage.fast, sent)
    lookups = [text for text in query_recorder.selects if "token.digest" in text]
    assert len(lookups) <= 1
    assert (found.split()[0], len(events)) == (status, 1)
    assert [what for what in left if what[0] == "auth"] == [("auth", events[0].data["check"])]


def test_it_takes_one_statement(stage: Stage, query_recorder: QueryRecorder) -> None:
    query_recorder.clear()
    outcome(stage, stage.fast, Sent())
    # The events are looked at before and after it.
    _, statement, _ = query_recorder.statements
    assert "token.digest" in statement


def test_everything_is_the_business_of_flask_until_the_schema_is_known(stage: Stage) -> None:
    health.seen(stage.proxy.app).state = None
    entered: list[Environ] = []
    stage.fast.flask = lambda environ, _: entered.append(environ) or []
    stage.fast(Sent().to(stage), lambda *_: None)
    assert len(entered) == 1


@pytest.mark.parametrize(
    ("problem", "status", "line"),
    [
        pytest.param(StorageUnavailable(), "503", "storage.unavailable", id="storage is away"),
        pytest.param(ZeroDivisionError(), "500", "request.failed", id="a fault of ours"),
    ],
)
def test_an_error_is_rendered_and_logged_once_and_nothing_is_tried_again(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    problem: Exception,
    status: str,
    line: str,
) -> None:
    asked = []

    def find(**_: object) -> None:
        asked.append(1)
        raise problem

    monkeypatch.setattr(stage.proxy.app.extensions["tokensrv_lookup"], "find", find)
    caplog.set_level(logging.INFO)
    found = outcome(stage, stage.fast, Sent())
    assert found[0].startswith(status)
    assert len(asked) == 1
    assert [record.message for record in caplog.records].count(line) == 1
    assert found == outcome(stage, stage.fast.flask, Sent())


def test_a_sudo_that_cannot_be_recorded_lets_nobody_in(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write() -> None:
        raise StorageUnavailable

    monkeypatch.setattr(stage.proxy.store, "write", write)
    status, *_, events, left = assert_same(
        stage, Sent("Bearer <admin>", headers=(("Sudo", "alice"),))
    )
    assert (status.split()[0], events, left) == ("503", [], [])


CHANGES: dict[str, Callable[[Proxy, int], object]] = {
    "revoked": lambda proxy, token: tokens.revoke(proxy.store, COMMAND_LINE, token),
    "blocked": lambda proxy, _: user_states.block(proxy.store, COMMAND_LINE, proxy.alice.id),
    "deleted": lambda proxy, _: users.delete(proxy.store, COMMAND_LINE, proxy.alice.id),
    "expired": lambda proxy, _: proxy.clock.set(midnight(START.date() + timedelta(days=1))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_who_entered_a_moment_ago_enters_no_more_once_it_is_not_true(
    stage: Stage, change: str
) -> None:
    sent = Sent("Bearer <dated>")
    assert assert_same(stage, sent)[0] == "200 OK"
    dated = token_digest(stage.secrets["dated"])
    found = stage.proxy.app.extensions["tokensrv_lookup"].find(digest=dated)
    CHANGES[change](stage.proxy, found.token.id)
    assert assert_same(stage, sent)[0].startswith("401")
