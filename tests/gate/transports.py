"""The transports by which one credential comes to tokensrv, each as the software behind it asks.

They all say what they were told in the words of introspection, so that whoever compares them needs
no others. ``None`` is a no.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.test import Client, TestResponse

from tests.oauth.conftest import Service, basic
from tokensrv.db import Store
from tokensrv.domain.gates import Entry, Gate, NoEntry
from tokensrv.domain.secret import digest
from tokensrv.domain.ssh_commands import GitService
from tokensrv.gate.middleware import GitGate
from tokensrv.lookup import Lookup
from tokensrv.services.directory import users
from tokensrv.services.gates.ssh import entrance, logins
from tokensrv.services.gates.visit import Visit
from tokensrv.services.lifecycle import tokens
from tokensrv.services.trail.events import Origin
from tokensrv.services.trail.usage import Usage

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

HERE, THERE = "192.0.2.7", "198.51.100.1"
REPOSITORY = "team/app"

Told = Mapping[str, str | None]


@dataclass(frozen=True)
class Shown:
    """A credential and what comes along with it: the sudo header, where it comes from."""

    secret: str
    sudo: str | None = None
    ip: str = HERE


@dataclass(frozen=True)
class Transport:
    """A way in: which scope it needs, and what it tells about whoever comes.

    ``has_headers``: whether a sudo can come along.
    """

    name: str
    needs: str
    ask: Callable[[Shown], Told | None]
    has_headers: bool = True

    def takes(self, shown: Shown) -> bool:
        """Return whether it has room for everything that is shown."""
        return self.has_headers or shown.sudo is None


def introspected(service: Service, shown: Shown, scope: str) -> Told | None:
    """Return what a client is told about the same credential, which all others must agree with."""
    sudo = {} if shown.sudo is None else {"Sudo": shown.sudo}
    answer = service.told(shown.secret, sudo, scope=scope, remote_ip=shown.ip)
    return _members(answer)


def all_of(app: Flask, tabled: Flask, service: Service) -> list[Transport]:
    """Return every transport; ``tabled`` requires ``read_api`` below ``/reports/``."""
    ways = _Ways(app, tabled, service)
    return [
        Transport("api", "read_user", ways.api),
        Transport("batch", "read_api", ways.batch),
        *(
            Transport(f"auth for {scope}", scope, partial(ways.auth, scope=scope))
            for scope in ("read_user", "read_api", "write_registry", "deploy")
        ),
        Transport("auth by Flask", "read_user", partial(ways.auth_by_flask, scope="read_user")),
        Transport("auth by Basic", "read_repository", ways.auth_by_basic),
        Transport("auth by PRIVATE-TOKEN", "api", ways.auth_by_private_token),
        Transport("auth below a path", "read_api", ways.auth_below),
        Transport("git fetch", "read_repository", partial(ways.git, pack="upload")),
        Transport("git push", "write_repository", partial(ways.git, pack="receive")),
        Transport("middleware fetch", "read_repository", partial(ways.middleware, pack="upload")),
        Transport("middleware push", "write_repository", partial(ways.middleware, pack="receive")),
        Transport("registry pull", "read_registry", partial(ways.registry, action="pull")),
        Transport("registry push", "write_registry", partial(ways.registry, action="push")),
        Transport("ssh login", "read_repository", ways.ssh_login, has_headers=False),
        *(
            Transport(f"ssh {name}", git.scope, partial(ways.ssh, git=git), has_headers=False)
            for name, git in (("fetch", GitService.UPLOAD_PACK), ("push", GitService.RECEIVE_PACK))
        ),
    ]


class _Ways:
    """The requests themselves, each from where the credential is shown."""

    def __init__(self, app: Flask, tabled: Flask, service: Service) -> None:
        self._service = service
        self._store: Store = app.extensions["tokensrv"]
        self._usage: Usage = app.extensions["tokensrv_usage"]
        self._lookup: Lookup = app.extensions["tokensrv_lookup"]
        self._http = Client(app.wsgi_app)
        self._flask = Client(behind_fast_paths(app.wsgi_app))
        self._tabled = Client(tabled.wsgi_app)
        self._git = Client(GitGate(_backend, app))

    def api(self, shown: Shown) -> Told | None:
        answer = _get(self._http, "/api/v4/user", shown, {"PRIVATE-TOKEN": shown.secret})
        if answer.status_code != 200:
            assert answer.status_code in {400, 401, 403, 404}, answer.text
            return None
        found = answer.get_json()
        return {"sub": str(found["id"]), "username": found["username"]}

    def batch(self, shown: Shown) -> Told | None:
        asked: dict[str, Any] = {"scope": "read_api", "remote_ip": shown.ip}
        if shown.sudo is not None:
            asked["sudo"] = shown.sudo
        answer = self._service.ask_many([shown.secret], **asked)
        return _members(answer.get_json()["results"][0])

    def auth(self, shown: Shown, scope: str) -> Told | None:
        return _identity(_get(self._http, f"/gate/auth?scope={scope}", shown, _bearer(shown)))

    def auth_by_flask(self, shown: Shown, scope: str) -> Told | None:
        return _identity(_get(self._flask, f"/gate/auth?scope={scope}", shown, _bearer(shown)))

    def auth_by_basic(self, shown: Shown) -> Told | None:
        path = "/gate/auth?scope=read_repository&challenge=basic"
        return _identity(_get(self._http, path, shown, _basic(shown)))

    def auth_by_private_token(self, shown: Shown) -> Told | None:
        headers = {"PRIVATE-TOKEN": shown.secret}
        return _identity(_get(self._http, "/gate/auth?scope=api", shown, headers))

    def auth_below(self, shown: Shown) -> Told | None:
        # As Envoy asks: the scopes stand in the table, whatever the client's own query wants.
        path = "/gate/auth/reports/7?scope=deploy"
        return _identity(_get(self._tabled, path, shown, _bearer(shown)))

    def git(self, shown: Shown, pack: str) -> Told | None:
        original = {
            "X-Original-Method": "POST",
            "X-Original-URI": f"/{REPOSITORY}.git/git-{pack}-pack",
        }
        return _identity(_get(self._http, "/gate/git", shown, _basic(shown) | original))

    def middleware(self, shown: Shown, pack: str) -> Told | None:
        path = f"/{REPOSITORY}.git/info/refs?service=git-{pack}-pack"
        return _identity(_get(self._git, path, shown, _basic(shown)))

    def registry(self, shown: Shown, action: str) -> Told | None:
        path = f"/jwt/auth?service=container_registry&scope=repository:{REPOSITORY}:{action}"
        answer = _get(self._http, path, shown, _basic(shown))
        if answer.status_code != 200:
            assert answer.status_code in {401, 403}, answer.text
            return None
        claims = payload(answer.get_json()["token"])
        granted = [(access["name"], access["actions"]) for access in claims["access"]]
        assert granted in ([], [(REPOSITORY, [action])])
        if not granted:
            return None
        who = payload(claims["user"])["user_info"]
        told = {"username": who["username"], "sub": str(who["user_id"])}
        assert claims["sub"] == told["username"]
        return told | {"act": who["actor"]["username"] if "actor" in who else None}

    def ssh_login(self, shown: Shown) -> Told | None:
        store, visit = self._store, _over_ssh(shown, "read_repository")
        record = tokens.find_by_secret(store, shown.secret)
        owner = "nobody" if record is None else users.get(store, record.user_id).username
        usage, lookup = self._usage, self._lookup
        return _entry(entrance.log_in(store, usage, lookup, visit, owner, shown.secret, None))

    def ssh(self, shown: Shown, git: GitService) -> Told | None:
        # The connection was opened when the token was still good for it.
        connection, visit = digest(shown.secret), _over_ssh(shown, git.scope)
        if (record := tokens.find_by_secret(self._store, shown.secret)) is not None:
            logins.remember(self._store, connection, record.id)
        usage, lookup = self._usage, self._lookup
        return _entry(entrance.by_connection(self._store, usage, lookup, visit, connection))


def _over_ssh(shown: Shown, scope: str) -> Visit:
    return Visit(Gate.SSH, Origin(ip=shown.ip, via="ssh"), scopes=(scope,))


def _entry(found: Entry | NoEntry) -> Told | None:
    """Return what hooks are told of an entry over SSH."""
    if isinstance(found, NoEntry):
        return None
    caller = found.caller
    assert caller.token is not None
    return {
        "username": caller.subject.username,
        "sub": str(caller.subject.id),
        "scope": " ".join(caller.scopes),
        "jti": str(caller.token.id),
        "act": caller.actor.username if caller.is_sudo else None,
    }


def _get(http: Client, path: str, shown: Shown, headers: Mapping[str, str]) -> TestResponse:
    sudo = {} if shown.sudo is None else {"Sudo": shown.sudo}
    return http.get(path, headers={**headers, **sudo}, environ_base={"REMOTE_ADDR": shown.ip})


def _bearer(shown: Shown) -> dict[str, str]:
    return {"Authorization": f"Bearer {shown.secret}"}


def _basic(shown: Shown) -> dict[str, str]:
    return {"Authorization": basic("anybody", shown.secret)}


def behind_fast_paths(way: Any) -> Any:
    """Return the way that all requests went if there were no faster one."""
    while hasattr(way, "flask"):
        way = way.flask
    return way


def payload(token: str) -> dict[str, Any]:
    """Return the claims of a JWT, whoever signed it."""
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def _members(answer: Mapping[str, Any]) -> Told | None:
    if not answer["active"]:
        assert dict(answer) == {"active": False}
        return None
    told = {name: answer[name] for name in ("username", "sub", "scope", "jti")}
    return told | {"act": answer["act"]["username"] if "act" in answer else None}


def _identity(answer: TestResponse) -> Told | None:
    if answer.status_code != 200:
        assert answer.status_code in {401, 403}, answer.status
        assert not [name for name, _ in answer.headers if name.startswith("X-Auth-")]
        return None
    return {
        "username": answer.headers["X-Auth-User"],
        "sub": answer.headers["X-Auth-User-Id"],
        "scope": answer.headers["X-Auth-Scopes"],
        "jti": answer.headers["X-Auth-Token-Id"],
        "act": answer.headers.get("X-Auth-Actor"),
    }


def _backend(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer as a Git server would that shows the headers by which it was told who has come."""
    told = {
        name.removeprefix("HTTP_").replace("_", "-"): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_X_AUTH_")
    }
    start_response("200 OK", list(told.items()))
    return [b""]
