"""`/gate/git`: who may fetch and push, what is told to Git, and what stands in the log."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import ManualClock
from tests.factories import make_admin, make_client, make_token, make_totp, make_user
from tests.services.conftest import contents
from tokensrv.clock import today, utcnow
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain.repositories import Access
from tokensrv.domain.secret import Kind, mint
from tokensrv.errors import StorageUnavailable
from tokensrv.models import Passkey
from tokensrv.services import repositories
from tokensrv.services.directory import user_states, users
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import EventRecord, NewToken, UserRecord
from tokensrv.services.reports.event_lists import EventFilter, list_events
from tokensrv.services.trail.events import COMMAND_LINE

PASSWORD = "correct horse battery staple"
FETCH = ("GET", "/team/app.git/info/refs?service=git-upload-pack")
PUSH = ("POST", "/team/app.git/git-receive-pack")
DENIED = (
    "HTTP Basic: Access denied. If a password was provided for Git authentication, the password was"
    " incorrect or you're required to use a token instead of a password. If a token was provided,"
    " it was either incorrect, expired, or improperly scoped. See"
    " http://127.0.0.1:8000/-/user_settings/personal_access_tokens"
)
NO_FETCH = "You are not allowed to download code."
NO_PUSH = "You are not allowed to upload code."


def basic(username: str, secret: str) -> dict[str, str]:
    """Return the header that Git sends."""
    pair = base64.b64encode(f"{username}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


@dataclass(frozen=True)
class World:
    """An instance with people, asked as nginx asks."""

    store: Store
    http: FlaskClient
    root: UserRecord
    alice: UserRecord

    def ask(self, what: tuple[str, str], headers: dict[str, str], root: str = "/") -> TestResponse:
        """Return the answer to an original request with these headers."""
        method, uri = what
        told = {"X-Original-Method": method, "X-Original-URI": uri}
        return self.http.get("/gate/git", query_string={"root": root}, headers=told | headers)

    def with_token(
        self, secret: str, what: tuple[str, str] = FETCH, **headers: str
    ) -> TestResponse:
        """Return the answer to a request with a token in place of a password."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask(what, basic("git", secret) | sent)

    def with_password(self, login: str = "alice", password: str = PASSWORD) -> TestResponse:
        """Return the answer to a fetch with somebody's password."""
        return self.ask(FETCH, basic(login, password))

    def token(self, *scopes: str) -> str:
        """Return the secret of a new token of Alice's."""
        return make_token(self.store, self.alice, scopes).secret

    def rule(self, user: UserRecord, prefix: str, access: Access) -> None:
        """Add a rule."""
        repositories.add(self.store, COMMAND_LINE, prefix=prefix, user_id=user.id, access=access)

    def refusals(self, action: str = "gate.refused") -> list[EventRecord]:
        """Return the events about those who were turned away."""
        return list_events(self.store, EventFilter(action=action))

    def checks(self) -> list[str]:
        """Return what stopped them, in this order."""
        return [event.data["check"] for event in self.refusals()]


@pytest.fixture
def world(store: Store, client: FlaskClient) -> World:
    return World(store, client, make_admin(store), make_user(store))


@pytest.fixture
def with_password(world: World, cheap_hashes: None) -> World:
    users.set_password(world.store, COMMAND_LINE, world.alice.id, PASSWORD, is_expired=False)
    return world


def assert_denied(answer: TestResponse) -> None:
    """Check that Git asks for another password, and says why."""
    assert (answer.status_code, answer.text) == (401, DENIED)
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="tokensrv"'
    assert answer.mimetype == "text/plain"
    assert answer.headers["Cache-Control"] == "no-store"
    assert not [name for name, _ in answer.headers if name.startswith("X-Auth-")]


def assert_forbidden(answer: TestResponse, text: str) -> None:
    """Check that Git gives up, and says why."""
    assert (answer.status_code, answer.text, answer.mimetype) == (403, text, "text/plain")
    assert "WWW-Authenticate" not in answer.headers
    assert not [name for name, _ in answer.headers if name.startswith("X-Auth-")]


@pytest.mark.parametrize(
    ("scopes", "fetches", "pushes"),
    [
        (("api",), True, True),
        (("write_repository",), True, True),
        (("read_repository",), True, False),
        (("read_api",), True, False),
        (("read_user",), False, False),
        (("self_rotate",), False, False),
        (("read_registry", "write_registry"), False, False),
        (("read_user", "write_repository"), True, True),
    ],
)
def test_scopes_say_who_fetches_and_who_pushes(
    world: World, scopes: tuple[str, ...], fetches: bool, pushes: bool
) -> None:
    secret = world.token(*scopes)
    for what, is_allowed, text in ((FETCH, fetches, NO_FETCH), (PUSH, pushes, NO_PUSH)):
        answer = world.with_token(secret, what)
        if is_allowed:
            assert answer.status_code == 200
            assert answer.headers["X-Auth-User"] == "alice"
            assert answer.headers["X-Auth-User-Id"] == str(world.alice.id)
            assert answer.headers["X-Auth-Scopes"] == " ".join(scopes)
            assert "X-Auth-Actor" not in answer.headers
        else:
            assert_forbidden(answer, text)
    assert world.checks() == ["wanted"] * [fetches, pushes].count(False)


def test_a_token_that_holds_sudo_alone_opens_nothing_without_it(world: World) -> None:
    secret = make_token(world.store, world.root, ("sudo",)).secret
    assert_forbidden(world.with_token(secret), NO_FETCH)
    assert world.with_token(secret, PUSH, Sudo="alice").status_code == 200


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "present",
    [
        lambda secret: basic("alice", secret),
        lambda secret: basic("nobody at all", secret),
        lambda secret: {"Authorization": f"Bearer {secret}"},
        lambda secret: {"PRIVATE-TOKEN": secret},
        lambda secret: basic("x", secret) | {"PRIVATE-TOKEN": secret},
    ],
)
def test_a_token_comes_with_any_username_or_none(
    world: World, present: Callable[[str], dict[str, str]]
) -> None:
    assert world.ask(PUSH, present(world.token("write_repository"))).status_code == 200


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Method": "POST", "X-Forwarded-Uri": PUSH[1]},
        {
            "X-Original-Method": "POST",
            "X-Original-URI": PUSH[1],
            "X-Forwarded-Method": "POST",
            "X-Forwarded-Uri": PUSH[1],
        },
        # Nobody told the method: what the URI says of itself counts.
        {"X-Original-URI": PUSH[1]},
    ],
)
def test_proxies_tell_the_request_in_their_own_ways(world: World, headers: dict[str, str]) -> None:
    for scope, status in (("write_repository", 200), ("read_repository", 403)):
        sent = headers | basic("git", world.token(scope))
        assert world.http.get("/gate/git", headers=sent).status_code == status


@pytest.mark.sqlite
def test_what_asks_to_become_a_websocket_is_asked_about_like_the_rest(world: World) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    assert world.ask(FETCH, basic("git", world.token("api")) | upgrade).status_code == 200
    assert_denied(world.ask(FETCH, upgrade))


@pytest.mark.sqlite
@pytest.mark.parametrize("host", ["a..b", "x" * 64, "a b", ""])
def test_whatever_host_was_asked_for_it_is_asked_about(world: World, host: str) -> None:
    headers = basic("git", world.token("api")) | {"Host": host}
    assert world.ask(FETCH, headers).status_code == 200


@pytest.mark.sqlite
@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PROPFIND", "OPTIONS", "MKCOL"])
def test_a_proxy_may_ask_with_any_method(world: World, method: str) -> None:
    headers = {"X-Forwarded-Method": method, "X-Forwarded-Uri": PUSH[1]}
    sent = headers | basic("git", world.token("api"))
    answer = world.http.open("/gate/git", method=method, headers=sent, data=b"0000")
    assert (answer.status_code, answer.headers["X-Auth-User"]) == (200, "alice")


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Original-Method": "GET"},
        {"X-Original-URI": FETCH[1], "X-Forwarded-Uri": "/other.git/HEAD"},
        {"X-Original-URI": FETCH[1], "X-Forwarded-Method": "GET"},
        {"X-Original-URI": FETCH[1], "X-Original-Method": "GET", "X-Forwarded-Method": "POST"},
        {"X-Original-URI": "/team/../app.git/HEAD", "X-Original-Method": "GET"},
    ],
)
def test_a_request_that_cannot_be_told_for_certain_is_refused(
    world: World, headers: dict[str, str]
) -> None:
    sent = headers | basic("git", world.token("api"))
    assert_forbidden(world.http.get("/gate/git", headers=sent), NO_FETCH)
    assert world.checks() == ["request"]


def test_what_is_outside_of_the_root_is_refused(world: World) -> None:
    sent = basic("git", world.token("api"))
    assert world.ask(("GET", f"/git{FETCH[1]}"), sent, root="/git/").status_code == 200
    assert_forbidden(world.ask(FETCH, sent, root="/git/"), NO_FETCH)


def test_a_root_that_nobody_can_read_is_above_nothing(world: World) -> None:
    told = {"X-Original-Method": FETCH[0], "X-Original-URI": FETCH[1]}
    sent = told | basic("git", world.token("api"))
    # As a server hands it over that lets such bytes through.
    raw = {"QUERY_STRING": "root=/\xff"}
    answer = world.http.get("/gate/git", headers=sent, environ_overrides=raw)
    assert_forbidden(answer, NO_FETCH)


def test_nothing_presented_is_asked_for_and_no_refusal(world: World) -> None:
    assert_denied(world.ask(FETCH, {}))
    assert_denied(world.ask(PUSH, {}))
    assert world.refusals() == []


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": " "},
        {"PRIVATE-TOKEN": ""},
        {"Authorization": "Basic"},
        {"Authorization": "Basic !"},
        {"Authorization": "Digest x"},
        {"Authorization": "Bearer"},
        basic("", "{}"),
        basic("alice", ""),
        basic("alice", "{}") | {"PRIVATE-TOKEN": "another"},
    ],
)
def test_what_is_no_credential_or_two_is_denied(world: World, headers: dict[str, str]) -> None:
    assert_denied(world.ask(FETCH, headers))
    assert world.checks() == ["credentials"]


def revoked(world: World, token: NewToken) -> None:
    tokens.revoke(world.store, COMMAND_LINE, token.record.id)


def expired(world: World, token: NewToken) -> None:
    clock = world.store.clock
    assert isinstance(clock, ManualClock)
    clock.advance(seconds=2 * 86400)


def blocked(world: World, token: NewToken) -> None:
    user_states.block(world.store, COMMAND_LINE, world.alice.id)


@pytest.mark.parametrize(
    ("end", "check"), [(revoked, "revoked"), (expired, "expired"), (blocked, "owner")]
)
def test_a_dead_token_is_denied_at_the_next_request(
    world: World, end: Callable[[World, NewToken], None], check: str
) -> None:
    tomorrow = today(world.store.clock) + timedelta(days=1)
    token = make_token(world.store, world.alice, expires_on=tomorrow)
    assert world.with_token(token.secret, PUSH).status_code == 200
    end(world, token)
    assert_denied(world.with_token(token.secret, PUSH))
    [event] = world.refusals()
    assert (event.token_id, event.actor, event.ip) == (token.record.id, "alice", "127.0.0.1")
    assert event.data == {
        "gate": "git",
        "check": check,
        "method": "POST",
        "path": "/team/app.git/git-receive-pack",
    }


def test_a_token_for_a_service_opens_no_repository(world: World) -> None:
    service = make_client(world.store).record.client_id
    token = make_token(world.store, world.alice, audience=(service,))
    assert_denied(world.with_token(token.secret))
    assert world.checks() == ["audience"]


def test_an_admin_pushes_as_somebody_else_and_both_are_told(world: World) -> None:
    secret = make_token(world.store, world.root, ("api", "sudo")).secret
    answer = world.with_token(secret, PUSH, Sudo="alice", Sudo_Reason="repair")
    assert answer.status_code == 200
    assert (answer.headers["X-Auth-User"], answer.headers["X-Auth-Actor"]) == ("alice", "root")
    assert answer.headers["X-Auth-Scopes"] == "api"
    [event] = world.refusals("sudo.used")
    assert (event.actor, event.subject, event.reason) == ("root", "alice", "repair")
    assert (event.data["gate"], event.data["wanted"]) == ("git", "write_repository")


def test_under_sudo_each_repository_and_each_push_is_on_record(world: World) -> None:
    secret = make_token(world.store, world.root, ("api", "sudo")).secret
    about_to_push = ("GET", "/team/app.git/info/refs?service=git-receive-pack")
    for what in (FETCH, about_to_push, PUSH, ("POST", "/own.git/git-receive-pack"), FETCH):
        assert world.with_token(secret, what, Sudo="alice").status_code == 200
    assert world.with_token(secret, Sudo="alice", Sudo_Reason="another").status_code == 200
    told = world.refusals("sudo.used")
    assert [(event.data["path"], event.data["wanted"]) for event in told] == [
        ("/team/app.git/info/refs", "read_repository"),
        ("/team/app.git/info/refs", "write_repository"),
        ("/team/app.git/git-receive-pack", "write_repository"),
        ("/own.git/git-receive-pack", "write_repository"),
        ("/team/app.git/info/refs", "read_repository"),
    ]
    assert [event.reason for event in told] == [None, None, None, None, "another"]


@pytest.mark.parametrize("sudo", ["", "nobody", "root", "alice,alice"])
def test_a_refused_sudo_is_forbidden_and_never_left_out(world: World, sudo: str) -> None:
    secret = make_token(world.store, world.root, ("api", "sudo")).secret
    assert_forbidden(world.with_token(secret, PUSH, Sudo=sudo), NO_PUSH)
    assert world.refusals("sudo.used") == []


def test_rules_say_which_repositories(world: World) -> None:
    secret, bob = world.token("api"), make_user(world.store, "bob")
    world.rule(world.alice, "team", Access.READ)
    world.rule(world.alice, "team/own", Access.WRITE)
    assert world.with_token(secret).status_code == 200
    assert_forbidden(world.with_token(secret, PUSH), NO_PUSH)
    assert world.with_token(secret, ("POST", "/team/own/git-receive-pack")).status_code == 200
    assert_forbidden(world.with_token(secret, ("GET", "/teams/app.git/info/refs")), NO_FETCH)
    assert_forbidden(world.with_token(make_token(world.store, bob).secret), NO_FETCH)
    assert world.checks() == ["rule", "rule", "rule"]
    assert {event.actor for event in world.refusals()} == {"alice", "bob"}


def test_a_rule_gives_no_scope(world: World) -> None:
    world.rule(world.alice, "/", Access.WRITE)
    assert_forbidden(world.with_token(world.token("read_repository"), PUSH), NO_PUSH)


def test_under_sudo_the_rules_of_the_subject_count(world: World) -> None:
    world.rule(world.root, "/", Access.WRITE)
    secret = make_token(world.store, world.root, ("api", "sudo")).secret
    assert world.with_token(secret, PUSH).status_code == 200
    assert_forbidden(world.with_token(secret, PUSH, Sudo="alice"), NO_PUSH)
    [event] = world.refusals()
    assert (event.data["check"], event.actor, event.subject) == ("rule", "root", "alice")
    world.rule(world.alice, "team/app", Access.WRITE)
    assert world.with_token(secret, PUSH, Sudo="alice").status_code == 200


def test_a_good_token_was_used_even_where_a_rule_refused_it(world: World) -> None:
    bob = make_user(world.store, "bob")
    world.rule(bob, "/", Access.WRITE)
    token = make_token(world.store, world.alice)
    assert_forbidden(world.with_token(token.secret), NO_FETCH)
    world.http.application.extensions["tokensrv_usage"].flush()
    found = tokens.get(world.store, None, token.record.id)
    assert found.last_used_at == utcnow(world.store.clock)


def test_an_account_opens_with_its_password_by_username_or_email(with_password: World) -> None:
    for login in ("alice", "ALICE", "alice@example.org"):
        answer = with_password.with_password(login)
        assert answer.status_code == 200
        assert answer.headers["X-Auth-User"] == "alice"
        assert "X-Auth-Token-Id" not in answer.headers
    assert with_password.ask(PUSH, basic("alice", PASSWORD)).status_code == 200


@pytest.mark.parametrize(("login", "password"), [("alice", "wrong"), ("nobody", PASSWORD)])
def test_a_wrong_password_is_denied_whoever_it_is_of(
    with_password: World, login: str, password: str
) -> None:
    assert_denied(with_password.with_password(login, password))
    assert with_password.checks() == ["password"]


def test_a_password_is_taken_as_basic_alone(with_password: World) -> None:
    assert_denied(with_password.ask(FETCH, {"Authorization": f"Bearer {PASSWORD}"}))
    assert_denied(with_password.ask(FETCH, {"PRIVATE-TOKEN": PASSWORD}))
    assert with_password.checks() == ["unknown"]


def make_passkey(store: Store, user: UserRecord) -> None:
    row = Passkey(
        user_id=user.id,
        credential_id=b"id",
        public_key=b"key",
        sign_count=0,
        name="Laptop",
        created_at=utcnow(store.clock),
    )
    with store.write() as session:
        session.add(row)


@pytest.mark.parametrize("make_factor", [make_totp, make_passkey])
def test_with_a_second_factor_a_token_is_needed(
    with_password: World, make_factor: Callable[[Store, UserRecord], object]
) -> None:
    assert with_password.with_password().status_code == 200
    make_factor(with_password.store, with_password.alice)
    assert_denied(with_password.with_password())
    assert with_password.checks() == ["second_factor"]
    assert with_password.with_token(with_password.token("api")).status_code == 200


def test_a_password_that_must_be_changed_is_denied(world: World, cheap_hashes: None) -> None:
    users.set_password(world.store, COMMAND_LINE, world.alice.id, PASSWORD, is_expired=True)
    assert_denied(world.with_password())
    assert world.checks() == ["password_expired"]


def test_with_a_password_nobody_acts_as_somebody_else(world: World, cheap_hashes: None) -> None:
    users.set_password(world.store, COMMAND_LINE, world.root.id, PASSWORD, is_expired=False)
    answer = world.ask(FETCH, basic("root", PASSWORD) | {"Sudo": "alice"})
    assert_forbidden(answer, NO_FETCH)
    [event] = world.refusals("sudo.refused")
    assert (event.actor, event.data["check"]) == ("root", "credential")


def test_rules_count_with_a_password_too(with_password: World) -> None:
    with_password.rule(with_password.root, "/", Access.WRITE)
    assert_forbidden(with_password.with_password(), NO_FETCH)
    [event] = with_password.refusals()
    assert (event.data["check"], event.token_id, event.actor) == ("rule", None, "alice")


def test_a_visit_is_counted_once_whatever_becomes_of_it(with_password: World) -> None:
    with_password.rule(with_password.alice, "team", Access.READ)
    secret = with_password.token("api")
    for headers in (basic("git", secret), basic("alice", PASSWORD)):
        assert with_password.ask(FETCH, headers).status_code == 200
        assert with_password.ask(PUSH, headers).status_code == 403
    with_password.with_token(with_password.token("read_user"))
    registry = with_password.http.application.extensions["tokensrv_metrics"].registry
    counted = {
        sample.labels["outcome"]: sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "tokensrv_gate_visits_total"
    }
    assert counted == {"entered": 2, "rule": 2, "wanted": 1}


class TestThrottled:
    """Limits on failures, which other tests do without."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, throttle=True)

    def test_guessing_passwords_is_stopped_and_the_token_still_opens(
        self, with_password: World
    ) -> None:
        secret = with_password.token("read_repository")
        for _ in range(10):
            assert_denied(with_password.with_password(password="wrong"))
        answer = with_password.with_password()
        assert_forbidden(answer, NO_FETCH)
        assert answer.headers["Retry-After"] == "900"
        assert with_password.with_token(secret).status_code == 200


def test_what_cannot_be_looked_up_is_unavailable(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(**_: object) -> None:
        raise StorageUnavailable

    monkeypatch.setattr(world.http.application.extensions["tokensrv_lookup"], "find", find)
    answer = world.with_token(mint("ts", Kind.PERSONAL))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


def test_no_secret_stands_anywhere(with_password: World) -> None:
    unknown = mint("ts", Kind.PERSONAL)
    uri = f"/team/app.git/info/refs?private_token={unknown}"
    answers = [
        with_password.with_token(unknown),
        with_password.with_password(password="wrong-canary"),
        with_password.ask(("GET", uri), {}),
        with_password.ask(("PUT", uri), basic("git", with_password.token("read_user"))),
    ]
    stored = json.dumps(contents(with_password.store), default=str)
    told = "".join(f"{answer.text}{answer.headers}" for answer in answers)
    for canary in (unknown, "wrong-canary"):
        assert canary not in stored
        assert canary not in told
