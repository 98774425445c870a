"""Every refusal at every gate stands in the log: which gate, which check, whose token, from where.

Only that nothing was presented does not: every client of Git and of a registry begins so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
from flask import Flask

from tests.conftest import ManualClock
from tests.factories import make_admin, make_client, make_token, make_totp, make_user
from tests.gate import states
from tests.gate.transports import Shown, Transport, all_of
from tests.oauth.conftest import as_service, basic
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain.secret import token_digest
from tokensrv.services import repositories
from tokensrv.services.directory import user_states, users
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import EventRecord
from tokensrv.services.reports.event_lists import EventFilter, list_events
from tokensrv.services.trail.events import COMMAND_LINE

PASSWORD = "nobody-guesses-this-1"
SCOPES = ("api", "deploy")
OF_GATE, OF_SUDO = "gate.refused", "sudo.refused"

# What is written of a state, at whatever gate.
WRITTEN = {
    "ended": (OF_GATE, "expired"),
    "revoked": (OF_GATE, "revoked"),
    "rotated away": (OF_GATE, "revoked"),
    "for another": (OF_GATE, "audience"),
    "of a revoked one": (OF_GATE, "source"),
    "lent by a demoted admin": (OF_GATE, "source"),
    "blocked owner's": (OF_GATE, "owner"),
    "banned owner's": (OF_GATE, "owner"),
    "deactivated owner's": (OF_GATE, "owner"),
    "deleted owner's": (OF_GATE, "unknown"),
    "from elsewhere": (OF_GATE, "network"),
    "unknown": (OF_GATE, "unknown"),
    "mistyped": (OF_GATE, "unknown"),
    "a client's": (OF_GATE, "unknown"),
    "as nobody": (OF_SUDO, "target"),
    "as an admin": (OF_SUDO, "target_admin"),
    "as somebody blocked": (OF_SUDO, "target_state"),
    "as nothing": (OF_GATE, "sudo"),
    "as blanks": (OF_GATE, "sudo"),
    "as two": (OF_GATE, "sudo"),
    "as beyond ASCII": (OF_GATE, "sudo"),
    "a user's as alice": (OF_SUDO, "admin"),
    "an admin's without the scope as alice": (OF_SUDO, "scope"),
    "a demoted admin's as alice": (OF_SUDO, "admin"),
    "lent as alice": (OF_SUDO, "admin"),
    "made narrower as alice": (OF_SUDO, "admin"),
}
GATES = {
    "auth for read_user": "auth",
    "git fetch": "git",
    "registry pull": "registry",
    "ssh login": "ssh",
    "ssh fetch": "ssh",
}


@dataclass
class Log:
    """The event log, read on from where it was read to."""

    store: Store
    clock: ManualClock
    seq: int = 0

    def after(self, happening: Callable[[], object]) -> list[EventRecord]:
        """Return what is written of something that happens in a minute of its own."""
        self.clock.advance(seconds=60)
        self._new()
        happening()
        return self._new()

    def _new(self) -> list[EventRecord]:
        found = list_events(self.store, EventFilter(since=self.seq, limit=1000))
        self.seq = found[-1].seq if found else self.seq
        return found


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, extra_scopes=("deploy",))


@pytest.fixture
def log(store: Store, clock: ManualClock) -> Log:
    return Log(store, clock)


def test_of_every_state_in_which_a_token_is_refused_the_log_tells(
    app: Flask, store: Store, log: Log
) -> None:
    cast = states.build(store)
    shown = states.dead(cast, SCOPES) | states.refused(cast, SCOPES)
    cast.fall()
    assert shown.keys() == WRITTEN.keys()
    service = as_service(app.test_client(), make_client(store))
    ways = {way.name: way for way in all_of(app, app, service)}
    for name, gate in GATES.items():
        way = ways[name]
        found = {state: told(log, way, token) for state, token in shown.items() if way.takes(token)}
        expected = {
            state: [written_of(store, gate, shown[state], *WRITTEN[state])] for state in found
        }
        assert found == expected


def told(log: Log, way: Transport, token: Shown) -> list[tuple[Any, ...]]:
    """Return what the log says of a refusal."""
    events = log.after(lambda: way.ask(token))
    return [
        (event.action, event.data["check"], event.data.get("gate"), event.token_id, event.ip)
        for event in events
    ]


def written_of(store: Store, gate: str, token: Shown, action: str, check: str) -> tuple[Any, ...]:
    """Return what the log must say."""
    if gate == "git" and token_digest(token.secret) is None:
        # What is no token may be the password of an account there.
        check = "password"
    record = tokens.find_by_secret(store, token.secret)
    token_id = None if record is None else record.id
    return action, check, gate, token_id, token.ip


FETCH = {"X-Original-Method": "GET", "X-Original-URI": "/team/app.git/info/refs"}
PUSH = FETCH | {"X-Original-URI": "/team/app.git/info/refs?service=git-receive-pack"}
ELSEWHERE = FETCH | {"X-Original-URI": "/other/app.git/info/refs"}
REGISTRY = "/jwt/auth?service=container_registry"

# What stops somebody beside the state of his token: where, with which headers, and what is written.
# A name in angle brackets stands for a secret, and after Basic for username and password.
STOPPED: dict[str, tuple[str, dict[str, str], tuple[str, str] | None]] = {
    "auth, nothing": ("/gate/auth", {}, None),
    "auth, no credential": (
        "/gate/auth",
        {"Authorization": "Negotiate x"},
        (OF_GATE, "credentials"),
    ),
    "auth, two that differ": (
        "/gate/auth",
        {"Authorization": "Bearer <api>", "PRIVATE-TOKEN": "<read_user>"},
        (OF_GATE, "credentials"),
    ),
    "auth, no username": (
        "/gate/auth",
        {"Authorization": "Basic :<api>"},
        (OF_GATE, "credentials"),
    ),
    "auth, two requests in one": (
        "/gate/auth",
        {"Authorization": "Bearer <api>", "X-Original-URI": "/a", "X-Forwarded-Uri": "/b"},
        (OF_GATE, "request"),
    ),
    "auth, a scope that is not held": (
        "/gate/auth?scope=api",
        {"Authorization": "Bearer <read_user>"},
        (OF_GATE, "wanted"),
    ),
    "auth, a scope of nobody": (
        "/gate/auth?scope=",
        {"Authorization": "Bearer <api>"},
        (OF_GATE, "request"),
    ),
    "auth, sudo alone and nobody named": (
        "/gate/auth",
        {"Authorization": "Bearer <sudo>"},
        (OF_GATE, "wanted"),
    ),
    "git, nothing": ("/gate/git", FETCH, None),
    "git, no request": (
        "/gate/git",
        {"Authorization": "Basic x:<api>"},
        (OF_GATE, "request"),
    ),
    "git, two that differ": (
        "/gate/git",
        FETCH | {"Authorization": "Basic x:<api>", "PRIVATE-TOKEN": "<read_user>"},
        (OF_GATE, "credentials"),
    ),
    "git, a scope that is not held": (
        "/gate/git",
        PUSH | {"Authorization": "Basic x:<read_repository>"},
        (OF_GATE, "wanted"),
    ),
    "git, a rule": ("/gate/git", ELSEWHERE | {"Authorization": "Basic x:<api>"}, (OF_GATE, "rule")),
    "git, a rule for reading": (
        "/gate/git",
        PUSH | {"Authorization": "Basic x:<api>"},
        (OF_GATE, "rule"),
    ),
    "git, a rule for whoever is acted as": (
        "/gate/git",
        FETCH | {"Authorization": "Basic x:<sudo>", "Sudo": "bob"},
        (OF_GATE, "rule"),
    ),
    "git, a wrong password": (
        "/gate/git",
        FETCH | {"Authorization": "Basic bob:guessed"},
        (OF_GATE, "password"),
    ),
    "git, nobody's password": (
        "/gate/git",
        FETCH | {"Authorization": "Basic nobody:<password>"},
        (OF_GATE, "password"),
    ),
    "git, a password that must be changed": (
        "/gate/git",
        FETCH | {"Authorization": "Basic expired:<password>"},
        (OF_GATE, "password_expired"),
    ),
    "git, a password with a second factor": (
        "/gate/git",
        FETCH | {"Authorization": "Basic doubly:<password>"},
        (OF_GATE, "second_factor"),
    ),
    "git, a password of who is blocked": (
        "/gate/git",
        FETCH | {"Authorization": "Basic blocked:<password>"},
        (OF_GATE, "owner"),
    ),
    "git, a password and a rule": (
        "/gate/git",
        FETCH | {"Authorization": "Basic bob:<password>"},
        (OF_GATE, "rule"),
    ),
    "git, a user's password as somebody": (
        "/gate/git",
        FETCH | {"Authorization": "Basic bob:<password>", "Sudo": "alice"},
        (OF_SUDO, "admin"),
    ),
    "git, an admin's password as somebody": (
        "/gate/git",
        FETCH | {"Authorization": "Basic root:<password>", "Sudo": "alice"},
        (OF_SUDO, "credential"),
    ),
    "registry, nothing": (REGISTRY, {}, None),
    "registry, two that differ": (
        REGISTRY,
        {"Authorization": "Basic x:<api>", "PRIVATE-TOKEN": "<read_user>"},
        (OF_GATE, "credentials"),
    ),
    "registry, a password": (
        REGISTRY,
        {"Authorization": "Basic bob:<password>"},
        (OF_GATE, "unknown"),
    ),
    "registry, a token for something else": (
        REGISTRY,
        {"Authorization": "Basic x:<read_user>"},
        (OF_GATE, "wanted"),
    ),
    "registry, an action that is not granted": (
        f"{REGISTRY}&scope=repository:team/app:pull,push",
        {"Authorization": "Basic x:<read_registry>"},
        (OF_GATE, "wanted"),
    ),
    "registry, a rule": (
        f"{REGISTRY}&scope=repository:other/app:pull",
        {"Authorization": "Basic x:<read_registry>"},
        (OF_GATE, "rule"),
    ),
    "registry, the catalog for a user": (
        f"{REGISTRY}&scope=registry:catalog:*",
        {"Authorization": "Basic x:<api>"},
        (OF_GATE, "admin"),
    ),
}


@pytest.mark.usefixtures("cheap_hashes")
def test_of_everything_else_that_stops_somebody_the_log_tells(
    app: Flask, store: Store, log: Log
) -> None:
    http, secrets = app.test_client(), secrets_of(store)
    # A registry's first grant of all makes a key, which is an event.
    granted = http.get(REGISTRY, headers=sent({"Authorization": "Basic x:<api>"}, secrets))
    assert granted.status_code == 200
    found = {}
    for name, (path, headers, _) in STOPPED.items():
        asking = partial(http.get, path, headers=sent(headers, secrets))
        found[name] = [
            (event.action, event.data["check"], event.data["gate"])
            for event in log.after(asking)
            if event.action != "sudo.used"
        ]
    assert found == {
        name: [] if written is None else [(*written, name.split(",")[0])]
        for name, (_, _, written) in STOPPED.items()
    }


@pytest.mark.usefixtures("cheap_hashes")
def test_of_whoever_acts_as_somebody_else_the_log_names_both(
    app: Flask, store: Store, log: Log
) -> None:
    path, headers, _ = STOPPED["git, a rule for whoever is acted as"]
    sending = sent(headers, secrets_of(store))
    events = log.after(partial(app.test_client().get, path, headers=sending))
    assert [(event.action, event.actor, event.subject) for event in events] == [
        ("sudo.used", "root", "bob"),
        (OF_GATE, "root", "bob"),
    ]


def secrets_of(store: Store) -> dict[str, str]:
    """Return what stands for the names, once there are people, and a rule for one of them."""
    alice = make_user(store)
    people = {name: make_user(store, name) for name in ("bob", "expired", "doubly", "blocked")}
    people["root"] = make_admin(store)
    for name, user in people.items():
        users.set_password(store, COMMAND_LINE, user.id, PASSWORD, is_expired=name == "expired")
    make_totp(store, people["doubly"])
    user_states.block(store, COMMAND_LINE, people["blocked"].id)
    repositories.add(store, COMMAND_LINE, prefix="team", user_id=alice.id, access="read")
    scopes = ("api", "read_user", "read_repository", "read_registry")
    found = {scope: make_token(store, alice, (scope,)).secret for scope in scopes}
    return found | {
        "sudo": make_token(store, people["root"], ("sudo",)).secret,
        "password": PASSWORD,
    }


def sent(headers: dict[str, str], secrets: dict[str, str]) -> dict[str, str]:
    """Return the headers with the secrets in the place of their names."""

    def filled(text: str) -> str:
        for name, secret in secrets.items():
            text = text.replace(f"<{name}>", secret)
        return text

    found = {name: filled(text) for name, text in headers.items()}
    scheme, _, pair = found.get("Authorization", "").partition(" ")
    if scheme == "Basic":
        found["Authorization"] = basic(*pair.split(":", 1))
    return found
