"""Brute force: whoever guesses is told to stop, and nobody else notices but by the log.

One budget for all gates, or the gate with its own would be the place to guess at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle, islice

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from werkzeug.test import TestResponse

from tests.conftest import ManualClock
from tests.databases import opened
from tests.factories import make_token, make_user
from tests.gate.transports import HERE, THERE
from tests.oauth.conftest import basic
from tests.processes import environment
from tests.services.conftest import contents, events_of
from tests.web.conftest import Visitor
from tokensrv.cli import main
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain.secret import Kind, mint
from tokensrv.services.account import throttle
from tokensrv.services.account.throttle import PASSWORD, TOKEN
from tokensrv.services.directory import users
from tokensrv.services.trail.events import COMMAND_LINE

PASSWORD_OF_ALICE = "nobody-guesses-this-1"
GUESSED = "guessed-password"
REFUSED = "gate.refused"
REPOSITORY = {"X-Original-Method": "GET", "X-Original-URI": "/app.git/info/refs"}

Guess = Callable[..., TestResponse]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, throttle=True)


@pytest.fixture
def alice(store: Store) -> str:
    """The secret of a token of alice, who has a password of her own choice, too."""
    alice = make_user(store)
    users.set_password(store, COMMAND_LINE, alice.id, PASSWORD_OF_ALICE, is_expired=False)
    return make_token(store, alice).secret


class Gates:
    """The gates as somebody meets them who tries one credential after the other."""

    def __init__(self, app: Flask) -> None:
        self._http = app.test_client()

    @property
    def for_tokens(self) -> dict[str, Guess]:
        return {"auth": self.auth, "git": self.git, "registry": self.registry}

    def auth(self, secret: str, ip: str = HERE) -> TestResponse:
        return self._get("/gate/auth", {"Authorization": f"Bearer {secret}"}, ip)

    def git(self, secret: str, ip: str = HERE, username: str = "alice") -> TestResponse:
        headers = {"Authorization": basic(username, secret)} | REPOSITORY
        return self._get("/gate/git", headers, ip)

    def registry(self, secret: str, ip: str = HERE) -> TestResponse:
        headers = {"Authorization": basic("alice", secret)}
        return self._get("/jwt/auth?service=container_registry", headers, ip)

    def _get(self, path: str, headers: dict[str, str], ip: str) -> TestResponse:
        return self._http.get(path, headers=headers, environ_base={"REMOTE_ADDR": ip})


@pytest.fixture
def gates(app: Flask) -> Gates:
    return Gates(app)


def unknown() -> str:
    return mint("ts", Kind.PERSONAL)


def test_whoever_guesses_tokens_is_stopped_at_all_gates_at_once(gates: Gates, alice: str) -> None:
    turns = islice(cycle(gates.for_tokens.values()), TOKEN.count)
    assert [gate(unknown()).status_code for gate in turns] == [401] * TOKEN.count
    for gate in gates.for_tokens.values():
        stopped = gate(unknown())
        assert (stopped.status_code, stopped.headers["Retry-After"]) == (403, "900")
        # Neither the owner who sits beside him, nor anybody elsewhere, notices.
        assert gate(alice).status_code == 200
        assert gate(unknown(), ip=THERE).status_code == 401


def test_of_whoever_goes_on_guessing_the_log_tells_in_a_few_lines(
    gates: Gates, store: Store, clock: ManualClock, app: Flask
) -> None:
    guesses = {name: [unknown() for _ in range(40)] for name in gates.for_tokens}
    for name, gate in gates.for_tokens.items():
        for secret in guesses[name]:
            gate(secret)
    clock.advance(seconds=60)
    app.extensions["tokensrv_usage"].flush()
    refused, counted = events_of(store, REFUSED), events_of(store, "gate.counted")
    told = Counter[str]()
    for event in refused:
        told[event.data["gate"]] += 1
    for event in counted:
        told[event.data["gate"]] += event.data["count"]
    assert told == dict.fromkeys(guesses, 40)
    assert len(refused) + len(counted) <= 4 * len(guesses)
    assert {event.data["check"] for event in refused} == {"unknown", "too_many"}
    assert {event.ip for event in refused} == {HERE}
    written = str(contents(store))
    assert not [secret for secrets in guesses.values() for secret in secrets if secret in written]


@pytest.mark.usefixtures("cheap_hashes")
def test_passwords_cost_the_same_budget_at_git_as_at_the_sign_in(
    app: Flask, gates: Gates, store: Store, alice: str
) -> None:
    visitor = Visitor(app)
    at_git = [gates.git(GUESSED, "127.0.0.1").status_code for _ in range(PASSWORD.count // 2)]
    at_sign_in = [sign_in(visitor, GUESSED) for _ in range(PASSWORD.count // 2)]
    assert (set(at_git), set(at_sign_in)) == ({401}, {422})
    # Not even the right one is looked at now, however the account is written.
    for username in ("alice", "ALICE", "alice@example.org"):
        answer = gates.git(PASSWORD_OF_ALICE, "127.0.0.1", username)
        assert (answer.status_code, answer.headers["Retry-After"]) == (403, "900")
    assert sign_in(visitor, PASSWORD_OF_ALICE) == 429
    # The owner's token opens next to whoever guesses, and his password does from elsewhere.
    assert gates.git(alice, "127.0.0.1").status_code == 200
    assert gates.git(PASSWORD_OF_ALICE, THERE).status_code == 200
    checks = [event.data["check"] for event in events_of(store, REFUSED)]
    assert checks == ["password", "too_many"]
    assert GUESSED not in str(contents(store))


@pytest.mark.usefixtures("cheap_hashes")
def test_the_right_password_makes_the_wrong_ones_before_it_good(gates: Gates, alice: str) -> None:
    for _ in range(3):
        tries = [GUESSED] * (PASSWORD.count - 1) + [PASSWORD_OF_ALICE]
        assert [gates.git(password).status_code for password in tries] == [401] * 9 + [200]


def sign_in(visitor: Visitor, password: str) -> int:
    return visitor.post("/users/sign_in", login="alice", password=password).status_code


class Login:
    """PAM, which asks about a login from HERE as often as somebody tries a password."""

    def __init__(self, settings: Settings) -> None:
        told = {"PAM_USER": "alice", "PAM_RHOST": HERE, "PAM_TYPE": "auth"}
        self._runner = CliRunner(env=environment(settings) | told)

    def with_password(self, secret: str) -> Result:
        return self._runner.invoke(main, ["gate", "ssh-auth"], secret + "\0")


def test_whoever_guesses_tokens_over_ssh_is_stopped_as_well(settings: Settings, alice: str) -> None:
    login = Login(settings)
    assert login.with_password(unknown()).exit_code == 1
    with opened(settings) as store:
        for _ in range(TOKEN.count - 1):
            assert throttle.take(store, throttle.for_token(HERE)) is None
        stopped = [login.with_password(unknown()) for _ in range(3)]
        assert {done.exit_code for done in stopped} == {1}
        assert all("too_many" in done.stderr for done in stopped)
        assert login.with_password(alice).exit_code == 0
        # Each attempt is a process of its own, of which ten a minute would be written.
        told = [(event.data["gate"], event.data["check"]) for event in events_of(store, REFUSED)]
        assert told == [("ssh", "unknown"), *[("ssh", "too_many")] * 3]


def test_a_password_of_an_account_is_never_looked_at_over_ssh(
    settings: Settings, alice: str
) -> None:
    login = Login(settings)
    done = [login.with_password(text) for text in (GUESSED, PASSWORD_OF_ALICE, "", "\0")]
    assert [one.exit_code for one in done] == [1] * 4
    assert PASSWORD_OF_ALICE not in "".join(one.output for one in done)
