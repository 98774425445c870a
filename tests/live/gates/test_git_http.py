"""Git itself through nginx and `git http-backend`, set up as the page says.

The page is followed to its end; here is whom the gate lets in after that, and what Git tells them.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
import requests

from tests.databases import Databases
from tests.factories import make_totp
from tests.live.gates.git_host import PASSWORD, PATIENCE_SECONDS, Host, opened_host
from tests.live.gates.proxies import CLIENT
from tests.live.servers import free_port, listens, wait_for
from tests.services.conftest import events_of
from tokensrv.domain.repositories import Access
from tokensrv.domain.secret import Kind, mint
from tokensrv.services import repositories
from tokensrv.services.account.throttle import TOKEN
from tokensrv.services.trail.events import COMMAND_LINE

NO_FETCH = "remote: You are not allowed to download code."
NO_PUSH = "remote: You are not allowed to upload code."
DENIED = "remote: HTTP Basic: Access denied."
REFS = "/team/app.git/info/refs?service="

# What is stored where makes no difference to Git.
pytestmark = pytest.mark.sqlite


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Host]:
    with opened_host(tmp_path_factory.mktemp("git"), databases) as found:
        yield found


def test_who_brings_nothing_is_asked_for_a_password_in_the_words_of_tokensrv(host: Host) -> None:
    uri = f"{REFS}git-upload-pack"
    answer = requests.get(f"{host.url}{uri}", timeout=PATIENCE_SECONDS)
    told = {"X-Original-Method": "GET", "X-Original-URI": uri}
    own = requests.get(f"{host.server.url}/gate/git", headers=told, timeout=PATIENCE_SECONDS)
    assert (answer.status_code, own.status_code) == (401, 401)
    for name in ("WWW-Authenticate", "Content-Type"):
        assert answer.headers[name].partition(";")[0] == own.headers[name].partition(";")[0]
    assert answer.text == own.text


@pytest.mark.parametrize(
    ("scope", "fetches", "pushes"),
    [
        ("api", True, True),
        ("write_repository", True, True),
        ("read_repository", True, False),
        ("read_api", True, False),
        ("read_user", False, False),
        ("read_registry", False, False),
        ("write_registry", False, False),
        ("self_rotate", False, False),
        ("introspect", False, False),
    ],
)
def test_scopes_say_who_fetches_and_who_pushes(
    host: Host, scope: str, fetches: bool, pushes: bool
) -> None:
    # Only an admin may hold `introspect`.
    secret = host.token(scope, user="root" if scope == "introspect" else "alice")
    path = host.repository()
    refused = host.fetch(secret, path=path)
    assert (not refused) == fetches, refused
    assert fetches or NO_FETCH in refused
    is_pushed, said = host.push(secret, path)
    assert is_pushed == pushes, said
    assert pushes or NO_PUSH in said


def test_sudo_alone_opens_nothing_and_a_refused_one_is_not_left_out(host: Host) -> None:
    secret, path = host.token("sudo", user="root"), host.repository()
    for headers, text in (((), NO_PUSH), (("Sudo: root",), NO_PUSH), (("Sudo;",), NO_PUSH)):
        is_pushed, said = host.push(secret, path, *headers)
        assert not is_pushed
        assert text in said
    is_pushed, said = host.push(secret, path, "Sudo: alice")
    assert is_pushed
    assert "HTTP_X_AUTH_ACTOR=root" in said


def test_a_token_that_is_revoked_in_the_middle_opens_nothing_more(host: Host) -> None:
    secret, path = host.token("write_repository"), host.repository()
    assert host.push(secret, path)[0]
    requests.delete(
        f"{host.server.url}/api/v4/personal_access_tokens/self",
        headers={"PRIVATE-TOKEN": secret},
        timeout=PATIENCE_SECONDS,
    ).raise_for_status()
    is_pushed, said = host.push(secret, path)
    assert not is_pushed
    assert DENIED in said
    assert DENIED in host.fetch(secret, path=path)


def test_a_hook_learns_who_pushes_from_the_gate_alone(host: Host) -> None:
    secret = host.token("api")
    spoofed = ("User", "User-Id", "Scopes", "Token-Id", "Actor")
    is_pushed, said = host.push(
        secret,
        host.repository(),
        *(f"X-Auth-{name}: evil" for name in spoofed),
        *(f"X_Auth_{name.replace('-', '_')}: evil" for name in spoofed),
        "Remote-User: evil",
        "X-Remote-User: evil",
        "Connection: X-Auth-User",
        "Proxy: evil",
    )
    assert is_pushed, said
    told = dict(line.split("=", 1) for line in _of_hook(said))
    remote = {name: told.pop(name) for name in list(told) if "REMOTE" in name}
    assert remote == {
        "REMOTE_USER": "alice",
        "HTTP_REMOTE_USER": "evil",
        "HTTP_X_REMOTE_USER": "evil",
    }
    assert "evil" not in told.values()
    assert (told["HTTP_X_AUTH_USER"], told["HTTP_X_AUTH_SCOPES"]) == ("alice", "api")
    assert secret not in said
    assert "HTTP_AUTHORIZATION" not in told or told["HTTP_AUTHORIZATION"] == ""


def _of_hook(said: str) -> list[str]:
    lines = (line.removeprefix("remote: ").rstrip() for line in said.splitlines())
    return [line for line in lines if "=" in line and line.split("=")[0].isupper()]


def test_what_a_client_says_of_its_request_does_not_count(host: Host) -> None:
    secret, uri = host.token("read_repository"), f"{REFS}git-upload-pack"
    for header in ("X-Original-URI", "X-Forwarded-Uri"):
        asked = host.ask("/team/app.git/git-receive-pack", secret, method="POST", **{header: uri})
        assert asked.status == 403
    for method in ("X-Original-Method", "X-Forwarded-Method"):
        asked = host.ask("/team/app.git/HEAD", secret, method="PUT", **{method: "GET"})
        assert asked.status == 403
    assert host.ask(uri, secret, **{"X-Forwarded-Uri": "/x"}).status == 200


@pytest.mark.parametrize(
    "path",
    [
        f"{REFS}git-upload-pack&service=git-receive-pack",
        f"{REFS}git-receive-pac%6B",
        "/team/app.git/git%2Dreceive-pack",
        "/team//app.git/HEAD",
        "/other/%2e%2e/team/app.git/HEAD",
        "/team/app.git/git-receive-pack#/git-upload-pack",
    ],
)
def test_no_spelling_makes_more_of_a_token_that_may_read(host: Host, path: str) -> None:
    assert host.ask(path, host.token("read_repository")).status == 403


def test_a_password_opens_until_there_is_a_second_factor(host: Host) -> None:
    user, path = host.user(), host.repository()
    assert host.fetch(PASSWORD, path=path, login=user.username) == ""
    is_pushed, said = host.push(PASSWORD, path, login=user.username)
    assert is_pushed, said
    make_totp(host.store, user)
    is_pushed, said = host.push(PASSWORD, path, login=user.username)
    assert not is_pushed
    assert DENIED in said
    refused = host.fetch(PASSWORD, login=user.username)
    assert DENIED in refused
    assert "you're required to use a token instead of a password" in refused
    assert host.fetch(host.token("read_repository", user=user.username)) == ""


def test_guessing_passwords_is_stopped_and_locks_nobody_out(host: Host) -> None:
    user, uri = host.user().username, f"{REFS}git-upload-pack"
    statuses = [host.ask(uri, f"guess {number}", login=user).status for number in range(10)]
    assert statuses == [401] * 10
    stopped = host.ask(uri, PASSWORD, login=user)
    assert stopped.status == 403
    assert 0 < int(stopped.headers["Retry-After"]) <= 900
    # From there a token still opens, and from elsewhere the password.
    assert host.ask(uri, host.token("api", user=user)).status == 200
    assert host.fetch(PASSWORD, login=user) == ""


def test_guessing_tokens_is_stopped_and_a_good_one_still_opens(host: Host) -> None:
    uri, count = f"{REFS}git-upload-pack", TOKEN.count
    statuses = [host.ask(uri, mint("ts", Kind.PERSONAL)).status for _ in range(count)]
    assert statuses == [401] * count
    stopped = host.ask(uri, mint("ts", Kind.PERSONAL))
    assert stopped.status == 403
    assert 0 < int(stopped.headers["Retry-After"]) <= 900
    # The owner goes on, from there and from elsewhere.
    assert host.ask(uri, host.token("read_repository")).status == 200
    assert host.fetch(host.token("read_repository")) == ""
    refused = [event for event in events_of(host.store, "gate.refused") if event.ip == CLIENT]
    told = {(event.data["gate"], event.data["check"]) for event in refused}
    assert {("git", "unknown"), ("git", "too_many")} <= told


def test_rules_close_what_they_do_not_allow(host: Host) -> None:
    user, path, secret = host.user(), host.repository(), host.token("api")
    rule = repositories.add(
        host.store, COMMAND_LINE, prefix=path, user_id=user.id, access=Access.READ
    )
    try:
        assert host.fetch(PASSWORD, path=path, login=user.username) == ""
        assert NO_PUSH in host.push(host.token("api", user=user.username), path)[1]
        assert NO_FETCH in host.fetch(secret, path=path)
    finally:
        repositories.remove(host.store, COMMAND_LINE, rule.id)
    assert host.fetch(secret, path=path) == ""


def test_a_large_push_goes_through_in_pieces(host: Host) -> None:
    secret, path, content = host.token("api"), host.repository(), os.urandom(8 * 2**20)
    folder = host.folder / "large"
    folder.mkdir()
    (folder / "content").write_bytes(content)
    command = ("-C", str(host.commit(folder)), "push", f"{host.url}/{path}", "HEAD:refs/heads/main")
    is_pushed, said = host.git(*command, secret=secret)
    assert is_pushed, said
    stored = ["git", "-C", host.folder / "repositories" / path, "show", "main:content"]
    assert subprocess.run(stored, check=True, capture_output=True).stdout == content


def test_when_tokensrv_is_away_nobody_gets_in(host: Host) -> None:
    away, port = free_port(), free_port()
    found = (host.folder / "nginx.conf").read_text(encoding="utf-8")
    conf = found.replace(f"127.0.0.1:{host.server.port};", f"127.0.0.1:{away};")
    conf = conf.replace(str(host.port), str(port)).replace("nginx.pid", "other.pid")
    (host.folder / "other.conf").write_text(conf, encoding="utf-8")
    command = ["/usr/sbin/nginx", "-p", ".", "-c", "other.conf", "-e", "stderr"]
    with subprocess.Popen(
        [*command, "-g", "daemon off; master_process off;"],
        cwd=host.folder,
        stderr=subprocess.DEVNULL,
    ) as nginx:
        try:
            wait_for(lambda: listens(port), "nginx")
            url = f"http://127.0.0.1:{port}{REFS}git-upload-pack"
            answer = requests.get(url, auth=("git", host.token("api")), timeout=PATIENCE_SECONDS)
        finally:
            nginx.kill()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
