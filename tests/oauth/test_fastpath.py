"""The fast path: whatever is sent, nobody can tell by the answer who gave it."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder, run_wsgi_app

from tests.conftest import START, QueryRecorder
from tests.factories import make_client, make_exchanged
from tests.oauth.conftest import World, basic
from tokensrv.clock import midnight
from tokensrv.domain.secret import Kind, mint, token_digest
from tokensrv.errors import StorageUnavailable
from tokensrv.http import health, wsgi
from tokensrv.http.parse.form import MAX_BYTES
from tokensrv.oauth.fastpath import FastPath
from tokensrv.services.directory import clients, user_states, users
from tokensrv.services.lifecycle import tokens
from tokensrv.services.reports.event_lists import EventFilter, list_events
from tokensrv.services.trail.events import COMMAND_LINE

PATH = "/oauth/introspect"
FORM = "application/x-www-form-urlencoded"
JWT = "application/token-introspection+jwt"

Environ = dict[str, Any]


class Slow(io.RawIOBase):
    """A body that arrives byte by byte, and ends, or breaks, when it is over."""

    def __init__(self, body: bytes, *, breaks: bool) -> None:
        self._rest = io.BytesIO(body)
        self._breaks = breaks

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._rest.read(1)
        if not found and self._breaks:
            raise ConnectionResetError
        buffer[: len(found)] = found
        return len(found)


class OnItsWay(io.BytesIO):
    """A body that other threads may run before, as it is with one that comes from a socket."""

    def read(self, size: int | None = -1, /) -> bytes:
        time.sleep(0.001)
        return super().read(size)


@dataclass(frozen=True)
class Stage:
    """A world with tokens and clients of every kind, and both ways into it."""

    world: World
    fast: FastPath
    secrets: dict[str, str]
    used: list[tuple[Any, ...]] = field(default_factory=list)

    def filled(self, text: str) -> str:
        """Return the text with the secrets for their names in angle brackets."""
        for name, secret in self.secrets.items():
            text = text.replace(f"<{name}>", secret)
        return text


@pytest.fixture
def stage(world: World, monkeypatch: pytest.MonkeyPatch) -> Stage:
    store = world.store
    day = START.date() + timedelta(days=1)
    service = world.service
    others = {
        "limited": make_client(store, scopes=("read_user", "api"), allow=("sudo",)),
        "plain": make_client(store),
        "disabled": make_client(store),
        "post": make_client(store, auth_methods=("client_secret_post",)),
    }
    clients.disable(store, COMMAND_LINE, others["disabled"].record.client_id)
    made = {
        "alice": world.alice_token,
        "admin": world.admin_token,
        "sudo": world.token(world.root, "sudo"),
        "introspect": world.token(world.root, "api", "introspect"),
        "dated": world.token(world.alice, "api", expires_on=day),
        "revoked": world.token(world.alice, "api"),
        "blocked": world.token(world.bob, "api"),
        "mine": world.token(world.alice, "api", audience=(service.client_id,)),
        "placed": world.token(world.root, "api", "sudo", allowed_ips=("192.0.2.0/24", "fe80::1")),
        "others": world.token(world.alice, "api", audience=(others["plain"].record.client_id,)),
        "acting": make_exchanged(store, world.admin_token, world.alice),
        "narrower": make_exchanged(store, world.alice_token, world.alice, ("read_user",)),
    }
    tokens.revoke(store, COMMAND_LINE, made["revoked"].record.id)
    user_states.block(store, COMMAND_LINE, world.bob.id)
    secrets = {name: token.secret for name, token in made.items()}
    secrets |= {"unknown": mint("ts", Kind.PERSONAL), "id": service.client_id}
    secrets |= {"secret": service.secret}
    for name, client in others.items():
        secrets |= {f"{name}_id": client.record.client_id, f"{name}_secret": client.secret}
    # The outermost is the one of the gates.
    stage = Stage(world, world.http.application.wsgi_app.flask, secrets)
    # The first signed answer makes a key, which is an event.
    assert service.introspect(secrets["alice"], {"Accept": JWT}).status_code == 200
    # Every sudo is written, so that both ways leave the same behind, whichever comes first.
    monkeypatch.setattr(world.usage, "is_repeated", lambda _: False)
    monkeypatch.setattr(world.usage, "used", lambda *use: stage.used.append(use))
    return stage


@dataclass(frozen=True)
class Sent:
    """A request, in which secrets are written by their names."""

    body: bytes | str
    authorization: str | None = "Basic <id>:<secret>"
    method: str = "POST"
    path: str = PATH
    query: str = ""
    content_type: str | None = FORM
    headers: tuple[tuple[str, str], ...] = ()
    # So many more bytes of another parameter.
    filler: int = 0
    # None: none is sent; a number is added to the right one.
    length: int | str | None = 0
    environ: tuple[tuple[str, Any], ...] = ()
    slow: bool = False
    breaks: bool = False

    def to(self, stage: Stage) -> Environ:
        """Return the environment that a server makes of it, with a body that can be read once."""
        body = stage.filled(self.body).encode() if isinstance(self.body, str) else self.body
        body += b"&filler=" + b"y" * self.filler if self.filler else b""
        builder = EnvironBuilder(
            path=self.path, query_string=stage.filled(self.query), method=self.method
        )
        environ = builder.get_environ() | {"REMOTE_ADDR": "127.0.0.1"}
        arrives = body[: len(body) // 2] if self.breaks else body
        environ["wsgi.input"] = (
            Slow(arrives, breaks=self.breaks) if self.slow else io.BytesIO(arrives)
        )
        for name, value in self.headers:
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = stage.filled(value)
        if self.content_type is not None:
            environ["CONTENT_TYPE"] = self.content_type
        length = self.length
        if length is not None and "wsgi.input_terminated" in dict(self.environ):
            # A server that says so has understood the length.
            length = 0
        if length is not None:
            is_text = isinstance(length, str)
            environ["CONTENT_LENGTH"] = length if is_text else str(len(body) + length)
        if self.authorization is not None:
            environ["HTTP_AUTHORIZATION"] = _authorization(stage.filled(self.authorization))
        return environ | dict(self.environ)


def _authorization(text: str) -> str:
    scheme, _, value = text.partition(" ")
    return basic(*value.split(":", 1)) if scheme == "Basic" and ":" in value else text


def outcome(stage: Stage, app: Any, environ: Environ) -> tuple[Any, ...]:
    """Return everything that an answer is and leaves behind."""
    store, given = stage.world.store, environ.get("HTTP_X_REQUEST_ID")
    before = list_events(store, EventFilter(limit=1))[-1].seq
    stage.used.clear()
    chunks, status, headers = run_wsgi_app(app, environ, buffered=True)
    ours = headers.get("X-Request-Id")
    sent = [
        (name, "fresh" if name == "X-Request-Id" and value != given else value)
        for name, value in headers.to_wsgi_list()
    ]
    events = [
        (
            event.action,
            event.actor,
            event.subject,
            event.token_id,
            event.client_id,
            event.ip,
            event.reason,
            event.data,
            event.request_id == ours,
        )
        for event in list_events(store, EventFilter(since=before, limit=100))
        if event.seq > before
    ]
    return status, sent, b"".join(chunks), events, list(stage.used)


def assert_same(stage: Stage, sent: Sent) -> tuple[Any, ...]:
    with_it = outcome(stage, stage.fast, sent.to(stage))
    without_it = outcome(stage, stage.fast.flask, sent.to(stage))
    assert with_it == without_it
    return with_it


KNOWN = st.sampled_from(
    [
        "alice",
        "admin",
        "sudo",
        "introspect",
        "dated",
        "revoked",
        "blocked",
        "mine",
        "placed",
        "others",
        "acting",
        "narrower",
        "unknown",
    ]
).map("<{}>".format)
TEXT = st.text(st.characters(max_codepoint=255), max_size=12)
TOKENS = KNOWN | st.sampled_from(["", "x", "<secret>", "<alice>x", " <alice>"]) | TEXT
NAMES = st.sampled_from(
    ["alice", "ALICE", "bob", "other-admin", "nobody", "root", "3", "03", "", " "]
)
FIELD = st.one_of(
    st.tuples(st.just("token"), TOKENS),
    st.tuples(st.just("token_type_hint"), st.sampled_from(["access_token", "nonsense"])),
    st.tuples(st.just("sudo"), NAMES | st.sampled_from(["alice,bob", "\xfc", "alice\0"])),
    st.tuples(st.just("sudo_reason"), st.sampled_from(["ticket 7", "", "x" * 300, "\xfc"])),
    st.tuples(st.just("scope"), st.sampled_from(["api", "read_user", "api read_user", "x", ""])),
    st.tuples(
        st.just("remote_ip"),
        st.sampled_from(["192.0.2.9", "::ffff:192.0.2.9", "fe80::1%x", "fe80::1", "::1", "x", ""]),
    ),
    st.tuples(st.just("client_id"), st.sampled_from(["<id>", "<post_id>", "<plain_id>", "", "x"])),
    st.tuples(st.just("client_secret"), st.sampled_from(["<secret>", "<post_secret>", "", "x"])),
    st.tuples(st.just("client_assertion"), st.sampled_from(["a.b.c", ""])),
    st.tuples(st.sampled_from(["unknown", "sudo[]", "sudo[a]", "", "Token", "scope[]"]), TEXT),
)


@st.composite
def forms(draw: st.DrawFn) -> str:
    """Return a form, most often one with a token, encoded in any way."""
    fields = draw(st.lists(FIELD, max_size=4))
    if draw(st.integers(0, 9)):
        fields.insert(0, ("token", draw(KNOWN)))
    encode = draw(st.sampled_from([str, lambda x: quote(x, safe="<>"), quote_plus]))
    text = "&".join(f"{encode(name)}={encode(value)}" for name, value in fields)
    return text.replace("%3C", "<").replace("%3E", ">")


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """Return the usual value or, in one case of ten, another one."""
    return st.integers(0, 9).flatmap(lambda n: st.just(usual) if n else st.sampled_from(others))


HEADER = st.one_of(
    st.tuples(st.just("Sudo"), NAMES | st.sampled_from(["alice,bob", "\xc3\xbc", "alice "])),
    st.tuples(
        st.just("Sudo-Reason"), st.sampled_from(["ticket 7", "", "\xc3\xbc", "\xff", "x" * 256])
    ),
    st.tuples(
        st.just("Accept"),
        st.sampled_from(
            [
                "*/*",
                "application/json",
                JWT,
                f"{JWT}, */*;q=0.1",
                "application/json;q=0, */*",
                "",
                ";",
            ]
        ),
    ),
    st.tuples(st.just("X-Request-Id"), st.sampled_from(["abc-1", "", "a b", "<alice>", "x" * 65])),
    st.tuples(
        st.just("X-Forwarded-For"), st.sampled_from(["192.0.2.1", "x", "1.2.3.4, 127.0.0.1"])
    ),
    st.tuples(st.just("Transfer-Encoding"), st.sampled_from(["chunked", "gzip"])),
    st.tuples(st.just("Upgrade"), st.just("websocket")),
    st.tuples(st.just("Connection"), st.sampled_from(["upgrade", "close"])),
    st.tuples(st.just("Host"), st.sampled_from(["evil.example", "", "a b"])),
)
ENVIRON = st.one_of(
    st.tuples(st.just("REMOTE_ADDR"), st.sampled_from(["", "192.0.2.3", "::ffff:192.0.2.4", "x"])),
    st.tuples(st.just("wsgi.input_terminated"), st.just(True)),
    st.tuples(st.just("SCRIPT_NAME"), st.just("/mounted")),
)
REQUESTS = st.builds(
    Sent,
    body=st.one_of(forms(), forms(), forms(), st.binary(max_size=40)),
    filler=mostly(0, MAX_BYTES),
    authorization=mostly(
        "Basic <id>:<secret>",
        None,
        "",
        "Basic <id>:wrong",
        "Basic <disabled_id>:<disabled_secret>",
        "Basic <limited_id>:<limited_secret>",
        "Basic <plain_id>:<plain_secret>",
        "Basic <post_id>:<post_secret>",
        "Basic nobody:<secret>",
        "Basic !",
        "Bearer <introspect>",
        "Bearer <alice>",
    ),
    method=mostly("POST", "GET", "PUT", "HEAD", "OPTIONS", "post"),
    path=mostly(PATH, f"{PATH}/", f"/{PATH}", "/oauth/revoke", "/healthz"),
    query=mostly("", "tenant=7", "token=<alice>", "sudo=alice", "sudo"),
    content_type=mostly(
        FORM, FORM.upper(), f"{FORM}; charset=x", "application/json", "text/plain", "", None
    ),
    headers=st.lists(HEADER, max_size=3).map(tuple),
    length=mostly(0, None, -3, 5, "", "+7", "-1", "007", "\xb2", "9" * 5000, "x"),
    environ=st.lists(ENVIRON, max_size=2).map(tuple),
    slow=st.booleans(),
    breaks=st.booleans(),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(sent=REQUESTS)
def test_any_request_is_answered_alike_with_and_without_it(stage: Stage, sent: Sent) -> None:
    assert_same(stage, sent)


PLAIN = [
    pytest.param(Sent("token=<alice>"), True, id="Basic"),
    pytest.param(Sent("token=<alice>", headers=(("Accept", "*/*"),)), True, id="any type"),
    pytest.param(Sent("token=<alice>&token_type_hint=nonsense&x=y"), True, id="more parameters"),
    pytest.param(
        Sent("token=%3Calice%3E".replace("%3C", "<").replace("%3E", ">")), True, id="encoded"
    ),
    pytest.param(
        Sent("token=<alice>&client_id=<id>&client_secret=<secret>", None), True, id="in the body"
    ),
    pytest.param(Sent("token=<dated>"), True, id="with an end"),
    pytest.param(Sent("token=<admin>&sudo=alice&sudo_reason=why"), True, id="sudo"),
    pytest.param(Sent("token=<admin>", headers=(("Sudo", "alice"),)), True, id="sudo in a header"),
    pytest.param(Sent("token=<admin>&sudo=nobody"), False, id="a refused sudo"),
    pytest.param(
        Sent("token=<alice>&scope=read_api&remote_ip=192.0.2.1"), True, id="scope, address"
    ),
    pytest.param(Sent("token=<acting>"), True, id="exchanged"),
    pytest.param(Sent("token=<narrower>"), True, id="made narrower"),
    pytest.param(Sent("token=<mine>"), True, id="for this client"),
    pytest.param(Sent("token=<others>"), False, id="for another client"),
    pytest.param(Sent("token=<revoked>"), False, id="revoked"),
    pytest.param(Sent("token=<blocked>"), False, id="of a blocked user"),
    pytest.param(Sent("token=<unknown>"), False, id="unknown"),
    pytest.param(Sent("token=garbage"), False, id="garbage"),
    pytest.param(Sent("token=<alice>", slow=True), True, id="in small pieces"),
]


@pytest.mark.parametrize(("sent", "is_active"), PLAIN)
def test_a_plain_question_is_answered_without_flask(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, sent: Sent, is_active: bool
) -> None:
    status, _, body, _, used = assert_same(stage, sent)
    assert status == "200 OK"
    assert (b'"active":true' in body, len(used)) == (is_active, is_active)

    def enter(*_: object) -> Iterable[bytes]:
        raise AssertionError("Flask was entered")

    monkeypatch.setattr(stage.fast, "flask", enter)
    assert outcome(stage, stage.fast, sent.to(stage))[2] == body


def test_it_takes_one_statement(stage: Stage, query_recorder: QueryRecorder) -> None:
    query_recorder.clear()
    outcome(stage, stage.fast, Sent("token=<alice>").to(stage))
    # The events are looked at before and after it.
    _, statement, _ = query_recorder.statements
    assert "token.digest" in statement


def test_everything_is_the_business_of_flask_until_the_schema_is_known(stage: Stage) -> None:
    app = stage.world.http.application
    health.seen(app).state = None
    entered: list[Environ] = []
    stage.fast.flask = lambda environ, _: entered.append(environ) or []
    stage.fast(Sent("token=<alice>").to(stage), lambda *_: None)
    assert len(entered) == 1


def test_a_crowd_waits_for_places_and_is_answered_without_flask(stage: Stage) -> None:
    entered: list[Environ] = []
    stage.fast.flask = lambda environ, _: entered.append(environ) or []
    asked = [Sent("token=<alice>").to(stage) for _ in range(48)]
    for environ in asked:
        environ["wsgi.input"] = OnItsWay(environ["wsgi.input"].read())

    def answer(environ: Environ) -> bytes:
        return b"".join(run_wsgi_app(stage.fast, environ, buffered=True)[0])

    with ThreadPoolExecutor(16) as crowd:
        answers = list(crowd.map(answer, asked))
    assert (len(entered), [b'"active":true' in body for body in answers]) == (0, [True] * 48)


def test_without_a_place_the_body_is_left_unread_and_nobody_waits_twice(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(wsgi.Places, "take", lambda _, seconds=0: bool(waited.append(seconds)))
    environ = Sent("token=<alice>").to(stage)
    status, headers, body, *left = outcome(stage, stage.fast, environ)
    assert (status.split()[0], body) == ("503", b'{"error":"temporarily_unavailable"}\n')
    assert ("Retry-After", "1") in headers
    assert (left, waited, environ["wsgi.input"].tell()) == ([[], []], [0.25], 0)
    assert_same(stage, Sent("token=<alice>"))


def test_every_place_is_given_back(stage: Stage) -> None:
    broken = Sent("token=", length=9, slow=True, breaks=True)
    for sent in [Sent("token=<alice>"), Sent("x=y"), broken] * 9:
        outcome(stage, stage.fast, sent.to(stage))
    places, free = wsgi.places(stage.world.http.application), 0
    while places.take():
        free += 1
    assert free == stage.world.store.settings.threads // 2


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

    monkeypatch.setattr(stage.world.http.application.extensions["tokensrv_lookup"], "find", find)
    caplog.set_level(logging.INFO)
    found = outcome(stage, stage.fast, Sent("token=<alice>").to(stage))
    assert found[0].startswith(status)
    assert len(asked) == 1
    assert [record.message for record in caplog.records].count(line) == 1
    assert found == outcome(stage, stage.fast.flask, Sent("token=<alice>").to(stage))


def test_a_sudo_that_cannot_be_recorded_is_not_answered(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write() -> None:
        raise StorageUnavailable

    monkeypatch.setattr(stage.world.store, "write", write)
    sent = Sent("token=<admin>&sudo=alice")
    status, _, body, events, used = assert_same(stage, sent)
    assert (status.split()[0], body) == ("503", b'{"error":"temporarily_unavailable"}\n')
    assert (events, used) == ([], [])


def test_an_unreadable_sudo_leaves_one_line_with_the_id_of_the_request(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sent = Sent("token=<admin>&sudo=", headers=(("X-Request-Id", "id-1"),))
    assert b'"active":false' in outcome(stage, stage.fast, sent.to(stage))[2]
    assert [record.message for record in caplog.records] == ["sudo.invalid"]


def test_it_goes_by_the_settings_of_this_moment(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = replace(
        stage.world.store.settings,
        external_url="https://tokens.example.org",
        soft_exp_seconds=30,
        trusted_proxies=("127.0.0.0/8",),
        sudo_reason_required=True,
        dual_client_auth=True,
    )
    monkeypatch.setattr(stage.world.store, "settings", changed)
    both = "&client_id=<id>&client_secret=<secret>"
    _, headers, body, *_ = assert_same(stage, Sent(f"token=<alice>{both}"))
    assert ("X-Accel-Expires", "30") in headers
    assert b'"iss":"https://tokens.example.org"' in body
    forwarded = (("X-Forwarded-For", "192.0.2.1"),)
    assert_same(stage, Sent("token=<admin>&sudo=alice", headers=forwarded))
    *_, events, _ = assert_same(
        stage, Sent("token=<admin>&sudo=alice&sudo_reason=why", headers=forwarded)
    )
    assert [(event[0], event[5]) for event in events] == [("sudo.used", "192.0.2.1")]


CHANGES: dict[str, Callable[[World, int], object]] = {
    "revoked": lambda world, token: tokens.revoke(world.store, COMMAND_LINE, token),
    "blocked": lambda world, _: user_states.block(world.store, COMMAND_LINE, world.alice.id),
    "deleted": lambda world, _: users.delete(world.store, COMMAND_LINE, world.alice.id),
    "disabled": lambda world, _: clients.disable(
        world.store, COMMAND_LINE, world.service.client_id
    ),
    "expired": lambda world, _: world.clock.set(midnight(START.date() + timedelta(days=1))),
    "a second later": lambda world, _: world.clock.advance(seconds=1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_told_a_moment_ago_is_not_told_once_it_is_not_true(
    stage: Stage, change: str
) -> None:
    sent = Sent("token=<dated>")
    first = assert_same(stage, sent)
    # Told, kept, and told again.
    assert [assert_same(stage, sent) for _ in range(2)] == [first] * 2
    dated = token_digest(stage.secrets["dated"])
    found = stage.world.http.application.extensions["tokensrv_lookup"].find(digest=dated)
    CHANGES[change](stage.world, found.token.id)
    assert assert_same(stage, sent)[:3] != first[:3]
