"""Which repository a request is about, and whether it pushes: nobody is asked for this."""

from __future__ import annotations

import pytest

from tokensrv.gate import git_requests
from tokensrv.gate.git_requests import GitRequest
from tokensrv.gate.original import of_uri

# What is stored where makes no difference to this.
pytestmark = pytest.mark.sqlite

REPOSITORY = "/team/app.git"
REFS = f"{REPOSITORY}/info/refs"


@pytest.mark.parametrize(
    ("method", "uri"),
    [
        ("GET", f"{REFS}?service=git-upload-pack"),
        ("HEAD", f"{REFS}?service=git-upload-pack"),
        ("OPTIONS", REFS),
        ("GET", REFS),
        ("POST", f"{REPOSITORY}/git-upload-pack"),
        ("POST", f"{REPOSITORY}/git-upload-archive"),
        ("GET", f"{REPOSITORY}/HEAD"),
        ("GET", f"{REPOSITORY}/objects/info/packs"),
        ("GET", f"{REPOSITORY}/objects/pack/pack-{'0' * 40}.idx"),
        ("GET", f"{REPOSITORY}/objects/00/{'f' * 38}"),
        ("GET", f"{REPOSITORY}/info/lfs/objects/{'f' * 64}"),
        ("GET", REPOSITORY),
        # Nobody told the method, the rest says enough.
        ("", f"{REFS}?service=git-upload-pack"),
        ("", f"{REPOSITORY}/git-upload-pack"),
    ],
)
def test_a_fetch(method: str, uri: str) -> None:
    assert git_requests.read(of_uri(method, uri), "/") == GitRequest("team/app", writes=False)


@pytest.mark.parametrize(
    ("method", "uri"),
    [
        ("GET", f"{REFS}?service=git-receive-pack"),
        ("GET", f"{REFS}?service=git-upload-pack&service=git-receive-pack"),
        ("GET", f"{REFS}?service=git-receive-pack&service=git-upload-pack"),
        ("GET", f"{REFS}?a=b;service=git-receive-pack"),
        ("GET", f"{REFS}?service=git%2Dreceive%2dpack"),
        ("GET", f"{REFS}?%73ervice=git-receive-pack"),
        ("GET", f"{REFS}?service=git-receive-pack%00"),
        ("POST", f"{REPOSITORY}/git-receive-pack"),
        ("GET", f"{REPOSITORY}/git-receive-pack"),
        ("POST", f"{REPOSITORY}/git%2Dreceive%2Dpack"),
        ("", f"{REPOSITORY}/git-receive-pack"),
        # What the protocol of fetching does not have.
        ("POST", REFS),
        ("POST", f"{REPOSITORY}/git-upload-pack/"),
        ("POST", f"{REPOSITORY}/info/lfs/objects/batch"),
        ("PUT", f"{REPOSITORY}/git-upload-pack"),
        ("PUT", f"{REPOSITORY}/info/lfs/objects/{'f' * 64}"),
        ("PROPFIND", f"{REPOSITORY}/objects/00/{'f' * 38}"),
        ("MKCOL", REPOSITORY),
        ("LOCK", REFS),
        ("DELETE", f"{REPOSITORY}/HEAD"),
        ("", f"{REPOSITORY}/HEAD"),
        ("", REPOSITORY),
    ],
)
def test_a_push(method: str, uri: str) -> None:
    found = git_requests.read(of_uri(method, uri), "/")
    assert found is not None
    assert found.writes


@pytest.mark.parametrize(
    ("root", "uri", "repository"),
    [
        ("/", "/app/info/refs", "app"),
        ("/", "/a/b/c.git/info/refs", "a/b/c"),
        ("/", "/team/app.wiki.git/HEAD", "team/app.wiki"),
        ("/", "/team/app.git/", "team/app"),
        ("/", "/%74eam/app%2Egit/info/refs", "team/app"),
        ("/git/", "/git/team/app.git/info/refs", "team/app"),
        ("/git", "/git/team/app.git/info/refs", "team/app"),
        ("git", "/git/team/app.git/info/refs", "team/app"),
        ("/a/b/", "/a/b/c.git/info/refs", "c"),
        # Git has repositories of such names, and a rule for one above says yes to both.
        ("/", "/a/objects/b.git/info/refs", "a/objects/b"),
        ("/", "/a/info/lfs/b.git/info/refs", "a"),
        # No service of Git: no rule is for it, unless for everything around it.
        ("/", "/team/app.git/info/refs/", "team/app.git/info/refs"),
        ("/", "/team/app.git/config", "team/app.git/config"),
    ],
)
def test_the_repository_is_what_comes_before_the_service(
    root: str, uri: str, repository: str
) -> None:
    found = git_requests.read(of_uri("GET", uri), root)
    assert found is not None
    assert found.repository == repository


@pytest.mark.parametrize(
    ("root", "uri"),
    [
        ("/", ""),
        ("/", "/"),
        ("/", "/info/refs"),
        ("/", "/.git/info/refs"),
        ("/", "team/app.git/info/refs"),
        ("/", "http://example.org/team/app.git/info/refs"),
        ("/", "//team/app.git/info/refs"),
        ("/", "/team//app.git/info/refs"),
        ("/", "/team/./app.git/info/refs"),
        ("/", "/team/../app.git/info/refs"),
        ("/", "/team/%2e%2e/app.git/info/refs"),
        ("/", "/team/%252e%252e/app.git/info/refs"),
        ("/", "/team\\app.git/info/refs"),
        ("/", "/team/app%00.git/info/refs"),
        ("/", "/team/app.git/info/refs%0A"),
        ("/", "/team/app%FF.git/info/refs"),
        # Others may see a longer path there.
        ("/", "/team/app%23secret.git/info/refs"),
        ("/", "/team/app%3Fsecret.git/info/refs"),
        ("/", "/team/app.git/info/refs#fragment"),
        ("/git/", "/team/app.git/info/refs"),
        ("/git/", "/gitteam/app.git/info/refs"),
        ("/git/", "/git"),
        ("/git/", "/git/"),
        ("/git/", "/git/info/refs"),
        ("/git/", "/git//team/app.git/info/refs"),
    ],
)
def test_what_cannot_be_told_for_certain_is_no_request(root: str, uri: str) -> None:
    assert git_requests.read(of_uri("GET", uri), root) is None


def test_headers_that_disagree_are_no_request() -> None:
    assert git_requests.read(None, "/") is None
