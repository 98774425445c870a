"""What an attacker writes so that a gate and what stands behind it understand two things."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from werkzeug.test import Client, TestResponse

from tests.factories import make_admin, make_token, make_user
from tests.gate.transports import behind_fast_paths
from tests.oauth.conftest import basic
from tests.services.conftest import contents, events_of
from tokensrv.db import Store
from tokensrv.domain.secret import Kind, mint
from tokensrv.services import repositories
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

HUGE = 60_000
REFS = "/info/refs?service=git-upload-pack"


@pytest.fixture
def alice(store: Store) -> UserRecord:
    return make_user(store)


def ask_git(app: Flask, secret: str, method: str, uri: str) -> TestResponse:
    headers = {
        "Authorization": basic("git", secret),
        "X-Original-Method": method,
        "X-Original-URI": uri,
    }
    return app.test_client().get("/gate/git", headers=headers)


ALLOWED = [
    f"/team/app.git{REFS}",
    f"/team/app{REFS}",
    f"/team%2Fapp.git{REFS}",
    f"/t%65am/app.git{REFS}",
    "/team/app.git/HEAD",
]
ELSEWHERE = [
    f"/secret.git{REFS}",
    f"//secret.git{REFS}",
    f"//team/app.git{REFS}",
    f"/team//app.git{REFS}",
    f"/team/app.git/../../secret.git{REFS}",
    f"/team/app.git%2f..%2f..%2fsecret.git{REFS}",
    f"/team/%2e%2e/secret.git{REFS}",
    f"/team/app.git%3f/../../../secret.git{REFS}",
    f"/team/app.git%23/../../../secret.git{REFS}",
    f"/team/app.git#/../../secret.git{REFS}",
    f"/team/..;/secret.git{REFS}",
    f"/team/app.git/..%5c..%5csecret.git{REFS}",
    f"/team\\app.git{REFS}",
    f"/team/app.git.git{REFS}",
    f"/team/app.gitx{REFS}",
    f"/team/app2.git{REFS}",
    f"/team/app%20.git{REFS}",
    f"/team/app%00.git{REFS}",
    f"/team/app%ff.git{REFS}",
    f"/team/app.git;x{REFS}",
    f"/team/app.git%2500{REFS}",
    f"/team%252fapp.git{REFS}",
    f"/Team/app.git{REFS}",
    f"/team/%ef%bd%81pp.git{REFS}",
    f"/team{REFS}",
    REFS,
    f"team/app.git{REFS}",
    f"https://git.example.org/team/app.git{REFS}",
    "*",
    "",
]


def test_no_spelling_of_a_path_gets_around_a_rule(
    app: Flask, store: Store, alice: UserRecord
) -> None:
    secret = make_token(store, alice).secret
    repositories.add(store, COMMAND_LINE, prefix="team/app", user_id=alice.id, access="write")
    answers = {uri: ask_git(app, secret, "GET", uri).status_code for uri in ALLOWED + ELSEWHERE}
    assert answers == dict.fromkeys(ALLOWED, 200) | dict.fromkeys(ELSEWHERE, 403)


PUSHES = [
    ("GET", "/a.git/info/refs?service=git-receive-pack"),
    ("GET", "/a.git/info/refs?service=git-receive%2Dpack"),
    ("GET", "/a.git/info/refs?service=%67it-receive-pack"),
    ("GET", "/a.git/info/refs?service=git-upload-pack&service=git-receive-pack"),
    ("GET", "/a.git/info/refs?service=git-upload-pack;service=git-receive-pack"),
    ("GET", "/a.git/git-receive-pack"),
    ("POST", "/a.git/git-receive-pack"),
    ("post", "/a.git/git-receive-pack"),
    ("POST", "/a.git/git-receive%2dpack"),
    ("POST", "/a.git/git-receive-pack?service=git-upload-pack"),
    ("POST", "/a.git/info/refs?service=git-upload-pack"),
    ("POST", "/a.git/info/lfs/objects/batch"),
    ("PUT", "/a.git/objects/aa/bb"),
    ("PUT", "/a.git/git-upload-pack"),
    ("MKCOL", "/a.git/refs"),
    ("", "/a.git/git-receive-pack"),
]
NEITHER = [
    ("POST", "/a.git/git-upload-pack%3f/../git-receive-pack"),
    ("POST", "/a.git/git-upload-pack%23/../git-receive-pack"),
    ("POST", "/a.git/git-upload-pack/../git-receive-pack"),
    ("POST", "/a.git/git-receive-pack/."),
]


def test_no_spelling_of_a_push_is_taken_for_a_fetch(
    app: Flask, store: Store, alice: UserRecord
) -> None:
    reads, writes = (
        make_token(store, alice, (scope,)).secret
        for scope in ("read_repository", "write_repository")
    )
    for push in PUSHES + NEITHER:
        assert ask_git(app, reads, *push).status_code == 403, push
        assert ask_git(app, writes, *push).status_code == (200 if push in PUSHES else 403), push
    for method in ("GET", "POST"):
        assert ask_git(app, reads, method, "/a.git/git-upload-pack").status_code == 200


# What is no credential, although a good token stands somewhere in it.
NONE = {
    "in the query": ("?private_token=<good>&access_token=<good>", {}),
    "in the original query": ("", {"X-Original-URI": "/a?private_token=<good>"}),
    "in a cookie": ("", {"Cookie": "private_token=<good>"}),
    "for a proxy": ("", {"Proxy-Authorization": "Bearer <good>"}),
    "in a job's header": ("", {"JOB-TOKEN": "<good>"}),
    "twice in one header": ("", {"Authorization": "Bearer <good>, Bearer <good>"}),
    "twice in GitLab's header": ("", {"PRIVATE-TOKEN": "<good>,<good>"}),
    "before another one": ("", {"Authorization": "Bearer <good>, Basic <basic>"}),
    "after another one": ("", {"Authorization": "Basic <basic>, Bearer <good>"}),
    "beside another one": ("", {"Authorization": "Bearer <other>", "PRIVATE-TOKEN": "<good>"}),
    "beside no credential": ("", {"Authorization": "Basic !", "PRIVATE-TOKEN": "<good>"}),
    "beside a blank one": ("", {"Authorization": "", "PRIVATE-TOKEN": "<good>"}),
    "before a blank one": ("", {"Authorization": "Bearer <good>", "PRIVATE-TOKEN": ""}),
    "as a username": ("", {"Authorization": "Basic <username>"}),
    "without a username": ("", {"Authorization": "Basic <nameless>"}),
    "as it is, as Basic": ("", {"Authorization": "Basic <good>"}),
    "without a scheme": ("", {"Authorization": "<good>"}),
    "with more behind it": ("", {"Authorization": "Bearer <good>x"}),
    "with NUL behind it": ("", {"PRIVATE-TOKEN": "<good>\0"}),
}


@pytest.mark.parametrize("is_fast", [True, False], ids=["fast path", "Flask"])
def test_a_token_that_is_not_presented_as_one_opens_nothing(
    app: Flask, store: Store, alice: UserRecord, is_fast: bool
) -> None:
    http = Client(app.wsgi_app if is_fast else behind_fast_paths(app.wsgi_app))
    good = make_token(store, alice).secret
    words = {
        "<good>": good,
        "<other>": make_token(store, alice).secret,
        "<basic>": basic("x", good).removeprefix("Basic "),
        "<username>": basic(good, "").removeprefix("Basic "),
        "<nameless>": basic("", good).removeprefix("Basic "),
    }

    def filled(text: str) -> str:
        for word, secret in words.items():
            text = text.replace(word, secret)
        return text

    found = {}
    for name, (query, headers) in NONE.items():
        sent = {header: filled(text) for header, text in headers.items()}
        found[name] = http.get(f"/gate/auth{filled(query)}", headers=sent).status_code
    assert found == dict.fromkeys(NONE, 401)
    assert http.get("/gate/auth", headers={"PRIVATE-TOKEN": good}).status_code == 200


# What says 200 to a good token; whatever a server could not read is blank there.
GATES = ("/gate/auth", "/gate/git", "/jwt/auth?service=container_registry")
ORIGINAL = {"X-Original-Method": "GET", "X-Original-URI": "/a/HEAD"}
BLANK = {
    "Authorization alone": {"Authorization": ""},
    "PRIVATE-TOKEN alone": {"PRIVATE-TOKEN": " "},
    "Authorization": {"Authorization": "", "PRIVATE-TOKEN": "<good>"},
    "PRIVATE-TOKEN": {"Authorization": "Bearer <good>", "PRIVATE-TOKEN": ""},
}


@pytest.mark.parametrize("gate", GATES)
def test_a_blank_header_is_a_credential_that_nobody_can_read(
    app: Flask, store: Store, alice: UserRecord, gate: str
) -> None:
    http, good = app.test_client(), make_token(store, alice).secret
    assert http.get(gate, headers={**ORIGINAL, "PRIVATE-TOKEN": good}).status_code == 200
    found = {}
    for name, headers in BLANK.items():
        sent = {header: text.replace("<good>", good) for header, text in headers.items()}
        answer = http.get(gate, headers=ORIGINAL | sent)
        found[name] = answer.status_code
    assert found == dict.fromkeys(BLANK, 401)
    assert {event.data["check"] for event in events_of(store, "gate.refused")} == {"credentials"}


def test_nobody_is_told_what_the_client_says_of_himself(
    app: Flask, store: Store, alice: UserRecord
) -> None:
    spoofed = {
        "X-Auth-User": "root",
        "X-Auth-User-Id": "1",
        "X-Auth-Actor": "root",
        "X-Auth-Scopes": "api sudo",
        "Remote-User": "root",
    }
    new = make_token(store, alice, ("read_user",))
    headers = spoofed | {"PRIVATE-TOKEN": new.secret, "X-Original-URI": "/?sudo=root"}
    answer = app.test_client().get("/gate/auth?sudo=root", headers=headers)
    told = {name: text for name, text in answer.headers if name.startswith("X-Auth-")}
    assert told == {
        "X-Auth-User": "alice",
        "X-Auth-User-Id": str(alice.id),
        "X-Auth-Scopes": "read_user",
        "X-Auth-Token-Id": str(new.record.id),
    }


def test_a_parameter_of_the_url_is_nobodys_sudo(app: Flask, store: Store) -> None:
    make_user(store)
    secret = make_token(store, make_admin(store), ("api", "sudo")).secret
    headers = {"PRIVATE-TOKEN": secret, "X-Original-URI": "/?sudo=alice"}
    for path in ("/gate/auth?sudo=alice", "/gate/auth/?sudo=alice"):
        answer = app.test_client().get(path, headers=headers | {"X-Original-URI": "/"})
        assert (answer.headers["X-Auth-User"], answer.headers.get("X-Auth-Actor")) == ("root", None)
    assert events_of(store, "sudo.used") == []


def test_what_is_huge_is_answered_and_leaves_little_behind(app: Flask, store: Store) -> None:
    make_user(store)
    secret = make_token(store, make_admin(store), ("api", "sudo")).secret
    filler, deep = "y" * HUGE, "/a" * (HUGE // 2)
    good: dict[str, Any] = {"PRIVATE-TOKEN": secret, "Sudo": "alice"}
    requests = [
        ("/gate/auth", {"Authorization": f"Bearer {filler}"}),
        ("/gate/auth", {"Authorization": basic(filler, mint("ts", Kind.PERSONAL))}),
        ("/gate/auth", {"Authorization": basic("x", filler)}),
        ("/gate/auth", good | {"Sudo": filler}),
        ("/gate/auth", good | {"Sudo-Reason": filler}),
        ("/gate/auth", good | {"X-Original-URI": deep, "X-Original-Method": filler}),
        (f"/gate/auth?scope={filler}", good),
        (f"/gate/auth{deep}?{filler}", good),
        ("/gate/git", {"Authorization": basic(filler, filler), "X-Original-URI": "/a/HEAD"}),
        ("/gate/git", good | {"X-Original-URI": deep, "X-Original-Method": "GET"}),
        ("/gate/git", good | {"X-Original-URI": f"/{filler}/HEAD", "X-Original-Method": "GET"}),
        (f"/gate/git?root={deep}", good | {"X-Original-URI": f"{deep}/a/HEAD"}),
        (f"/jwt/auth?service=container_registry&scope=repository:{filler}:pull", good),
        ("/jwt/auth?service=container_registry" + "&scope=repository:a:pull" * 2000, good),
    ]
    for path, headers in requests:
        answer = app.test_client().get(path, headers=headers)
        assert answer.status_code in {200, 401, 403}, (path[:40], answer.status)
    assert max(len(str(row)) for row in contents(store)["event"]) < 2500
