"""The gate in front of a WSGI application: what gets through to it, and Git itself through both."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from werkzeug.serving import make_server
from werkzeug.test import Client, TestResponse

from tests.factories import make_admin, make_token, make_user
from tests.gate.test_git import basic
from tokensrv.db import Store
from tokensrv.gate.middleware import GitGate
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import NewToken
from tokensrv.services.trail.events import COMMAND_LINE

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

FETCH = "/team/app.git/info/refs"
PUSH = "/team/app.git/git-receive-pack"
HELPER = '!printf "username=git\\npassword=%s\\n" "$SECRET" #'
HOOK = '#!/bin/sh\necho "pushed by $REMOTE_USER, really $HTTP_X_AUTH_ACTOR"\n'


@dataclass
class Backend:
    """An application that remembers what it was asked."""

    asked: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.asked.append(dict(environ))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["wsgi.input"].read()]

    @property
    def identity(self) -> dict[str, str]:
        """Return what it was told about who asked it last."""
        names = ("REMOTE_USER", "AUTH_TYPE", "AUTHORIZATION", "PRIVATE_TOKEN", "SUDO", "X_AUTH")
        return {
            name: value
            for name, value in self.asked[-1].items()
            if name.removeprefix("HTTP_").startswith(names)
        }


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def alices(store: Store) -> NewToken:
    return make_token(store, make_user(store), ("read_repository",))


@pytest.fixture
def ask(app: Flask, backend: Backend) -> Callable[..., TestResponse]:
    """Send a request through the gate."""
    http = Client(GitGate(backend, app))

    def ask(
        path: str, secret: str = "", headers: dict[str, str] | None = None, **options: Any
    ) -> TestResponse:
        sent = (basic("git", secret) if secret else {}) | (headers or {})
        return http.open(path, headers=sent, **options)

    return ask


Ask = Callable[..., TestResponse]


def test_the_backend_gets_the_request_and_who_asks(
    ask: Ask, backend: Backend, alices: NewToken
) -> None:
    body = b"0000"
    answer = ask("/team/app.git/git-upload-pack", alices.secret, method="POST", data=body)
    assert (answer.status_code, answer.data) == (200, body)
    assert backend.asked[-1]["PATH_INFO"] == "/team/app.git/git-upload-pack"
    assert backend.identity == {
        "REMOTE_USER": "alice",
        "HTTP_X_AUTH_USER": "alice",
        "HTTP_X_AUTH_USER_ID": str(alices.record.user_id),
        "HTTP_X_AUTH_SCOPES": "read_repository",
        "HTTP_X_AUTH_TOKEN_ID": str(alices.record.id),
    }


def test_nothing_that_a_client_claims_gets_through(
    ask: Ask, backend: Backend, alices: NewToken
) -> None:
    claims = ("Actor", "User", "Anything")
    headers = {f"X-Auth-{claim}": "evil" for claim in claims}
    environ = {"REMOTE_USER": "evil", "AUTH_TYPE": "evil"}
    answer = ask(
        FETCH,
        headers=headers | {"PRIVATE-TOKEN": alices.secret, "Sudo-Reason": "none"},
        environ_overrides=environ,
    )
    assert answer.status_code == 200
    assert "evil" not in backend.identity.values()
    assert alices.secret not in str(backend.asked)
    assert "HTTP_SUDO_REASON" not in backend.asked[-1]


def test_under_sudo_the_backend_learns_both_names(
    ask: Ask, backend: Backend, store: Store, alices: NewToken
) -> None:
    secret = make_token(store, make_admin(store), ("api", "sudo")).secret
    assert ask(PUSH, secret, {"Sudo": "alice"}, method="POST").status_code == 200
    told = backend.identity
    assert (told["REMOTE_USER"], told["HTTP_X_AUTH_ACTOR"]) == ("alice", "root")
    assert "HTTP_SUDO" not in told


def test_a_refusal_is_the_gates_own_and_the_backend_hears_nothing(
    ask: Ask, backend: Backend, alices: NewToken
) -> None:
    anonymous = ask(FETCH)
    assert anonymous.status_code == 401
    assert anonymous.headers["WWW-Authenticate"] == 'Basic realm="tokensrv"'
    refused = ask(PUSH, alices.secret, method="POST")
    assert (refused.status_code, refused.text) == (403, "You are not allowed to upload code.")
    assert backend.asked == []


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "request_line",
    [
        {"path": FETCH, "query_string": "service=git-receive-pack"},
        {"path": FETCH, "query_string": "a=#&service=git-receive-pack"},
        {"path": FETCH, "method": "PUT"},
        {"path": "/team/../app.git/HEAD"},
        {"path": "/team/app%23.git/HEAD"},
        {"path": "/team/%252e%252e/app.git/HEAD"},
        # What proxies tell counts for nothing: the gate sees the request itself.
        {"path": PUSH, "headers": {"X-Original-Method": "GET", "X-Original-URI": FETCH}},
        {"path": PUSH, "headers": {"X-Forwarded-Method": "GET", "X-Forwarded-Uri": FETCH}},
    ],
)
def test_what_the_backend_would_see_is_judged(
    ask: Ask, backend: Backend, alices: NewToken, request_line: dict[str, Any]
) -> None:
    assert ask(secret=alices.secret, **request_line).status_code == 403
    assert backend.asked == []


def test_the_path_is_the_backends_own_wherever_it_is_mounted(
    app: Flask, backend: Backend, alices: NewToken
) -> None:
    http, headers = Client(GitGate(backend, app, root="/git/")), basic("git", alices.secret)
    assert http.get(FETCH, headers=headers).status_code == 403
    found = http.get(f"/git{FETCH}", base_url="http://localhost/mounted", headers=headers)
    assert found.status_code == 200
    assert backend.asked[-1]["SCRIPT_NAME"] == "/mounted"


def http_backend(root: Path) -> WSGIApplication:
    """Return Git's own CGI program as a WSGI application (RFC 3875)."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        variables = {name: value for name, value in environ.items() if isinstance(value, str)}
        done = subprocess.run(
            ["git", "http-backend"],
            input=environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)),
            env=variables
            | {
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "",
            },
            stdout=subprocess.PIPE,
            check=True,
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        lines = (line.split(": ", 1) for line in head.decode().split("\r\n"))
        headers = [(name, value) for name, value in lines]
        status = dict(headers).get("Status", "200 OK")
        start_response(status, [header for header in headers if header[0] != "Status"])
        return [body]

    return application


@contextmanager
def served(application: WSGIApplication) -> Iterator[str]:
    """Give the address of an application that is served meanwhile."""
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_git_clones_and_pushes_through_it(app: Flask, store: Store, tmp_path: Path) -> None:
    token = make_token(store, make_user(store), ("write_repository",))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "GIT_TERMINAL_PROMPT": "0",
        "SECRET": token.secret,
        **{f"GIT_{who}_NAME": "A" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "a@example.org" for who in ("AUTHOR", "COMMITTER")},
    }

    def git(*arguments: str) -> tuple[bool, str]:
        done = subprocess.run(
            ["git", "-c", f"credential.helper={HELPER}", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode == 0, done.stdout + done.stderr

    assert git("init", "--bare", "root/team/app.git")[0]
    hook = tmp_path / "root" / "team" / "app.git" / "hooks" / "post-receive"
    hook.write_text(HOOK)
    hook.chmod(0o755)
    with served(GitGate(http_backend(tmp_path / "root"), app)) as url:
        assert git("clone", f"{url}/team/app.git")[0]
        assert git("-C", "app", "commit", "--allow-empty", "--message", "a")[0]
        is_pushed, said = git("-C", "app", "push", "origin", "HEAD")
        assert is_pushed, said
        assert "pushed by alice, really" in said
        tokens.revoke(store, COMMAND_LINE, token.record.id)
        is_pushed, said = git("-C", "app", "push", "origin", "HEAD")
    assert not is_pushed
    assert "remote: HTTP Basic: Access denied." in said
