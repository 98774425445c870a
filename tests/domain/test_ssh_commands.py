from __future__ import annotations

import pytest

from tokensrv.domain.ssh_commands import (
    SCOPES,
    USAGE,
    GitCommand,
    GitService,
    Greeting,
    Mistake,
    NewTokenCommand,
    read,
)

FETCH, PUSH = GitService.UPLOAD_PACK, GitService.RECEIVE_PACK

NONE = {
    "another program": "ls -l",
    "a shell behind it": "git-upload-pack 'team/app'; ls",
    "a shell within it": "git-upload-pack $(ls) x",
    "an option": "git-upload-pack --timeout=0 team/app",
    "an option for a path": "git-upload-pack --upload-pack=ls",
    "the home of somebody": "git-upload-pack '~root/app'",
    "a home": "git-upload-pack '/~/app'",
    "the folder above": "git-upload-pack '../app'",
    "no path": "git-upload-pack",
    "an empty path": "git-upload-pack ''",
    "two paths": "git-upload-pack one two",
    "Git itself": "git status",
    "a service of Git that is none here": "git daemon team/app",
    "a quote without an end": "git-upload-pack 'team",
    "another spelling": "GIT-UPLOAD-PACK team/app",
    "a path to the program": "/usr/bin/git-upload-pack team/app",
}


@pytest.mark.parametrize("text", [None, "", "  "])
def test_nothing_is_a_greeting(text: str | None) -> None:
    assert read(text) == Greeting()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("git-upload-pack 'team/app.git'", GitCommand(FETCH, "team/app")),
        ("git upload-pack '/team/app'", GitCommand(FETCH, "team/app")),
        ("git-receive-pack 'my app'", GitCommand(PUSH, "my app")),
        ("git-upload-archive team/app", GitCommand(GitService.UPLOAD_ARCHIVE, "team/app")),
        ("git-upload-pack '/it'\\''s'", GitCommand(FETCH, "it's")),
    ],
)
def test_git_is_read_with_the_path_of_its_repository(text: str, expected: GitCommand) -> None:
    assert read(text) == expected


@pytest.mark.parametrize("text", NONE.values(), ids=NONE)
def test_whatever_else_is_no_command(text: str) -> None:
    assert read(text) is None


def test_a_push_alone_writes() -> None:
    scopes = {service: service.scope for service in GitService}
    assert {service for service, scope in scopes.items() if scope == "write_repository"} == {PUSH}
    assert [service for service in GitService if service.writes] == [PUSH]


def test_a_token_is_wanted_with_a_name_scopes_and_days() -> None:
    long = read("personal_access_token 'my laptop' read_user,api 7")
    assert long == NewTokenCommand("my laptop", ("read_user", "api"), 7)
    assert read("personal_access_token ci read_api") == NewTokenCommand("ci", ("read_api",))
    assert read("personal_access_token ci api 0") == NewTokenCommand("ci", ("api",), 0)
    assert read("personal_access_token ci api 000000400") == NewTokenCommand("ci", ("api",), 400)


@pytest.mark.parametrize("digits", ["100000", "9" * 5000])
def test_more_days_than_anybody_lives_are_as_good_as_any(digits: str) -> None:
    assert read(f"personal_access_token ci api {digits}") == NewTokenCommand("ci", ("api",), 99_999)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("", USAGE),
        ("ci", USAGE),
        ("ci api 7 8", USAGE),
        ("ci api -1", "Invalid value for days_ttl: '-1'"),
        ("ci api soon", "Invalid value for days_ttl: 'soon'"),
        ("ci api ''", "Invalid value for days_ttl: ''"),
        ("ci api ٣", "Invalid value for days_ttl: '٣'"),
        ("' ' api", "No token name specified"),
        ("ci ''", "No token scopes specified"),
    ],
)
def test_a_mistake_is_explained_in_gitlabs_words(words: str, text: str) -> None:
    assert read(f"personal_access_token {words}") == Mistake(text)


@pytest.mark.parametrize("scope", ["sudo", "introspect", "admin_mode", "", "API"])
def test_a_token_over_ssh_has_scopes_of_api_alone(scope: str) -> None:
    found = read(f"personal_access_token ci api,{scope}")
    valid = ", ".join(f'"{one}"' for one in SCOPES)
    assert found == Mistake(f"Invalid scope: '{scope}'. Valid scopes are: [{valid}]", scope)
    assert not {"sudo", "introspect"} & set(SCOPES)
