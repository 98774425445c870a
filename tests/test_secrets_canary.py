"""Secrets everywhere a request has room for one, the log at its loudest; then every sink is read.

A secret may stand in the one answer that hands it out, and nowhere else: not in the database,
not in the event log, not in any other answer or its headers, not in the log.
"""

from __future__ import annotations

import logging
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import ManualClock
from tests.factories import make_admin, make_client, make_token, make_user
from tests.oauth.conftest import basic
from tests.services.conftest import contents
from tokensrv.cli import main
from tokensrv.db import Store
from tokensrv.domain.secret import Kind, mint
from tokensrv.http.logs import JsonFormatter
from tokensrv.services.reports.event_lists import EventFilter, list_events

PASSWORD = "canary-Passw0rd-nobody-else-has"
# What identifies a secret: without its prefix nobody may find it anywhere, nor without its end,
# which follows from the rest.
RANDOM_PART = slice(-36, -6)


class Canaries:
    """Every secret of an instance, some of them of nobody, and all that was answered."""

    def __init__(self, store: Store, http: FlaskClient, clock: ManualClock) -> None:
        root, alice = make_admin(store), make_user(store)
        self.http, self.clock = http, clock
        self.admin = make_token(store, root, ("api", "sudo")).secret
        self.user = make_token(store, alice).secret
        client = make_client(store, allow=("sudo", "revoke", "batch"))
        self.client_id, self.client = client.record.client_id, client.secret
        self.unknown = mint("ts", Kind.PERSONAL)
        self.handed_out: list[str] = []
        self.answers: list[TestResponse] = []
        self.commands: list[Result] = []

    @property
    def all(self) -> list[str]:
        secrets = [self.admin, self.user, self.client, self.unknown, *self.handed_out]
        return [secret[RANDOM_PART] for secret in secrets] + [PASSWORD]

    def send(self, method: str, path: str, **options: Any) -> TestResponse:
        # In a minute of its own: what comes again within one is only counted.
        self.clock.advance(seconds=60)
        answer = self.http.open(path, method=method, **options)
        self.answers.append(answer)
        return answer

    def run(self, runner: CliRunner, *arguments: str, given: str = "", **told: str) -> Result:
        done = runner.invoke(main, ["gate", *arguments], given, env=told)
        self.commands.append(done)
        return done

    def take(self, path: str, body: dict[str, Any], member: str = "token") -> str:
        """Return the secret that this one answer hands out."""
        headers = {"PRIVATE-TOKEN": self.admin}
        answer = self.http.post(f"/api/v4{path}", json=body, headers=headers)
        secret = str(answer.get_json()[member])
        self.handed_out.append(secret)
        return secret


@pytest.fixture
def loud(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The log of everybody at DEBUG, as an operator turns it up, in the form that is written."""
    caplog.handler.setFormatter(JsonFormatter())
    caplog.set_level(logging.DEBUG)
    logging.getLogger("tokensrv").setLevel(logging.DEBUG)
    return caplog


@pytest.fixture
def canaries(store: Store, client: FlaskClient, clock: ManualClock) -> Canaries:
    return Canaries(store, client, clock)


def _use_the_api(canaries: Canaries) -> None:
    alice = "/users/2"
    new = {"name": "new", "scopes": ["read_user"]}
    canaries.take(f"{alice}/personal_access_tokens", new)
    canaries.take(f"{alice}/impersonation_tokens", new)
    canaries.take("/user/personal_access_tokens", new)
    canaries.take("/personal_access_tokens/3/rotate", {})
    canaries.take("/tokensrv/clients", {"name": "new"}, "client_secret")
    canaries.take(f"/tokensrv/clients/{canaries.client_id}/rotate_secret", {}, "client_secret")
    headers = {"PRIVATE-TOKEN": canaries.admin}
    user = {"username": "new", "email": "new@example.org", "name": "New", "password": PASSWORD}
    canaries.send("POST", "/api/v4/users", json=user, headers=headers)
    canaries.send("PUT", "/api/v4/users/2", json={"password": PASSWORD}, headers=headers)
    canaries.send("POST", "/api/v4/admin/token", json={"token": canaries.user}, headers=headers)
    for token in (canaries.user, canaries.unknown):
        canaries.send("POST", "/api/v4/tokensrv/explain", json={"token": token}, headers=headers)
    canaries.send("GET", "/api/v4/personal_access_tokens", headers=headers)
    canaries.send("GET", f"/api/v4/users?private_token={canaries.admin}&per_page=1")
    canaries.send("GET", "/api/v4/user", headers={"Authorization": f"Bearer {canaries.unknown}"})


def _put_secrets_where_none_belongs(canaries: Canaries) -> None:
    headers = {"PRIVATE-TOKEN": canaries.admin}
    by_user = {"PRIVATE-TOKEN": canaries.user, "Sudo": canaries.admin}
    canaries.send("GET", "/api/v4/user", headers=by_user)
    for secret in (canaries.unknown, canaries.user):
        sudo = headers | {"Sudo": secret, "Sudo-Reason": f"because {secret}"}
        canaries.send("GET", "/api/v4/user", headers=sudo)
        named = headers | {"Sudo": "alice", "Sudo-Reason": secret}
        canaries.send("GET", f"/api/v4/personal_access_tokens/{secret}", headers=named)
        canaries.send("GET", f"/api/v4/{secret}?x={secret}", headers=headers)
        canaries.send("GET", f"/{secret}", headers={"X-Request-Id": secret, "Cookie": secret})
        canaries.send("GET", f"/api/v4/users?search={secret}&sudo={secret}", headers=headers)
        broken = f'{{"password": "{secret}", '.encode()
        kind = {"Content-Type": "application/json"}
        canaries.send("POST", "/api/v4/users", data=broken, headers=headers | kind)
        wrong = {"name": ["x"], "scopes": secret, "expires_at": secret}
        canaries.send("POST", "/api/v4/users/2/personal_access_tokens", json=wrong, headers=headers)
        canaries.send("POST", "/api/v4/admin/token", json={"token": [secret]}, headers=headers)
        for asked in ({"sudo": secret}, {"scope": secret}, {"client_id": secret}):
            question = {"token": canaries.admin} | asked
            canaries.send("POST", "/api/v4/tokensrv/explain", json=question, headers=headers)
        for client in ({"name": "x", "jwks": secret}, {"name": "x", "allow": [secret]}):
            canaries.send("POST", "/api/v4/tokensrv/clients", json=client, headers=headers)
        path = f"/api/v4/tokensrv/clients/{secret}"
        canaries.send("PATCH", path, json={"jwks": {"keys": [secret]}}, headers=headers)


def _use_oauth(canaries: Canaries) -> None:
    good = {"Authorization": basic(canaries.client_id, canaries.client)}
    for token in (canaries.admin, canaries.user, canaries.unknown):
        for more in (
            {},
            {"sudo": "alice"},
            {"sudo": token},
            {"scope": token},
            {"remote_ip": token},
        ):
            canaries.send("POST", "/oauth/introspect", data={"token": token} | more, headers=good)
        bad = {"Authorization": basic(token, canaries.client)}
        canaries.send("POST", "/oauth/introspect", data={"token": token}, headers=bad)
        canaries.send("POST", f"/oauth/introspect?token={token}", headers=good)
        canaries.send("POST", "/oauth/introspect", json={"token": token}, headers=good)
        signed = good | {"Accept": "application/token-introspection+jwt"}
        canaries.send("POST", "/oauth/introspect", data={"token": token}, headers=signed)
        for members in ({}, {"sudo": token}, {"scope": token}, {"tokens": token}, {token: token}):
            many = {"tokens": [token]} | members
            canaries.send("POST", "/oauth/introspect/batch", json=many, headers=good)
    body = {"client_id": canaries.client_id, "client_secret": canaries.client}
    canaries.send("POST", "/oauth/introspect", data=body | {"token": canaries.unknown})
    canaries.send("POST", "/oauth/revoke", data={"token": canaries.handed_out[0]}, headers=good)


def _use_the_gates(canaries: Canaries) -> None:
    registry = "/jwt/auth?service=container_registry"
    for secret in (canaries.admin, canaries.user, canaries.unknown, PASSWORD):
        ways = (
            {"Authorization": f"Bearer {secret}"},
            {"Authorization": basic("alice", secret)},
            {"Authorization": basic(secret, secret)},
            {"Authorization": basic(secret, "nothing")},
            {"Authorization": f"Digest username={secret}"},
            {"PRIVATE-TOKEN": secret},
        )
        for way in ways:
            git = {"X-Original-Method": "GET", "X-Original-URI": "/app.git/info/refs"}
            canaries.send("GET", "/gate/auth", headers=way)
            canaries.send("GET", "/gate/git", headers=way | git)
            canaries.send("GET", registry, headers=way)
    for secret in (canaries.user, canaries.unknown):
        # The last one is cut in the middle, where what is written is.
        for uri in (f"/{secret}?token={secret}", f"/%2574{secret[1:]}", f"/{'x' * 215}/{secret}"):
            told = {"X-Original-Method": secret, "X-Original-URI": uri, "X-Request-Id": secret}
            for credential in (canaries.admin, "nobody's"):
                headers = told | {"PRIVATE-TOKEN": credential}
                sudo = {"Sudo": secret, "Sudo-Reason": "x" * 218 + secret}
                for path in ("/gate/auth", f"/gate/auth?scope={secret}", f"/gate/auth{uri}"):
                    canaries.send("PROPFIND", path, headers=headers)
                    canaries.send(secret, path, headers={"PRIVATE-TOKEN": credential})
                    canaries.send("GET", path, headers=headers | sudo)
                canaries.send("GET", f"/gate/git?root={secret}", headers=headers | sudo)
                canaries.send("GET", "/gate/git", headers=headers | {"Sudo": "x" * 218 + secret})
        asked = f"scope=repository:{secret}:pull&account={secret}&client_id={secret}"
        for path in (f"{registry}&{asked}", f"/jwt/auth?service={secret}"):
            for sudo in ({}, {"Sudo": secret}, {"Sudo": "alice", "Sudo-Reason": secret}):
                headers = {"PRIVATE-TOKEN": canaries.admin} | sudo
                canaries.send("GET", path, headers=headers)
    statuses = {answer.status_code for answer in canaries.answers[-200:]}
    assert statuses >= {200, 401, 403}


def _log_in_over_ssh(canaries: Canaries, runner: CliRunner) -> None:
    # Each from elsewhere: what comes again from one place within a minute is not written.
    hosts = (f"192.0.2.{number}" for number in range(256))
    for secret in (canaries.admin, canaries.user, canaries.unknown, PASSWORD):
        for told in ({"PAM_USER": "alice"}, {"PAM_USER": secret}):
            canaries.run(runner, "ssh-auth", given=f"{secret}\0", PAM_RHOST=next(hosts), **told)
    canaries.run(runner, "ssh-auth", PAM_USER="alice", PAM_RHOST=canaries.admin)
    for secret in (canaries.admin, canaries.unknown):
        for command in (secret, f"git-upload-pack '{secret}'", f"git-receive-pack {secret} x"):
            told = {"SSH_ORIGINAL_COMMAND": command, "SSH_CONNECTION": f"{next(hosts)} 7 ::1 22"}
            canaries.run(runner, "ssh-serve", **told)
            canaries.run(runner, "ssh-serve", "--key", "7", **told)
        canaries.run(runner, "ssh-keys", secret)
        canaries.run(runner, "ssh-keys", "--fingerprint", secret)
    assert {done.exit_code for done in canaries.commands} == {0, 1}


def _break(canaries: Canaries, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a view fail with a secret in its very error."""

    def fail() -> None:
        raise RuntimeError(f"{canaries.admin} {canaries.unknown}")

    app = canaries.http.application
    app.testing = False
    monkeypatch.setitem(app.view_functions, "health.healthz", fail)
    assert canaries.send("GET", "/healthz").status_code == 500


def test_no_secret_is_in_any_sink(
    store: Store,
    canaries: Canaries,
    loud: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    runner: CliRunner,
) -> None:
    _use_the_api(canaries)
    _put_secrets_where_none_belongs(canaries)
    _use_oauth(canaries)
    _use_the_gates(canaries)
    _log_in_over_ssh(canaries, runner)
    _break(canaries, monkeypatch)
    shown = canaries.send("GET", "/metrics", headers={"PRIVATE-TOKEN": canaries.admin})
    assert shown.status_code == 200
    written = capfd.readouterr()
    sinks = {
        "log": loud.text,
        "stdout": written.out,
        "stderr": written.err,
        "events": repr(list_events(store, EventFilter(limit=1000))),
        "database": str(contents(store)),
        "commands": "".join(done.output for done in canaries.commands),
        **{f"answer to {a.request.path}": f"{a.text} {a.headers}" for a in canaries.answers},
    }
    # What was turned into capitals on its way, as methods are, is a secret still.
    folded = {name: text.casefold() for name, text in sinks.items()}
    found = {
        name
        for name, text in folded.items()
        for secret in canaries.all
        if secret.casefold() in text
    }
    assert found == set()
    assert {a.status_code for a in canaries.answers} >= {200, 201, 400, 401, 403, 404, 500}
    assert len(loud.records) > 10


def test_the_files_of_an_instance_hold_no_secret(store: Store, canaries: Canaries) -> None:
    _use_the_api(canaries)
    _use_oauth(canaries)
    files = [path for path in store.settings.instance.rglob("*") if path.is_file()]
    stored = b"".join(path.read_bytes() for path in files)
    assert [secret for secret in canaries.all if secret.encode() in stored] == []
