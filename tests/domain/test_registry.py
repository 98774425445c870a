"""What the clients of a container registry ask for, as Docker's grammar says it."""

from __future__ import annotations

import pytest

from tokensrv.domain.registry import CATALOG, MOST, Resource, asked, is_any_held

PULL = Resource("repository", "team/app", ("pull",))


def names(*scopes: str) -> list[str]:
    return [resource.name for resource in asked(scopes)]


@pytest.mark.parametrize(
    ("scopes", "found"),
    [
        (["repository:team/app:pull"], [PULL]),
        (["repository:team/app:pull,push"], [PULL._replace(actions=("pull", "push"))]),
        (["repository:team/app:push,pull,push"], [PULL._replace(actions=("push", "pull"))]),
        (["repository:team/app:delete,*"], [PULL._replace(actions=("delete", "*"))]),
        (["repository:team/app:pull,fly"], [PULL]),
        (["registry:catalog:*"], [CATALOG]),
        (["repository:team/app:pull registry:catalog:*"], [PULL, CATALOG]),
        (["registry:catalog:*", "repository:team/app:pull"], [CATALOG, PULL]),
        (["repository:team/app:pull", "repository:team/app:pull"], [PULL]),
        ([""], []),
        ([], []),
    ],
)
def test_scopes_are_read(scopes: list[str], found: list[Resource]) -> None:
    assert asked(scopes) == found


@pytest.mark.parametrize(
    "name",
    ["a", "a/b/c/d", "a.b", "a_b", "a__b", "a---b", "0", "app.git", "x" * 255],
)
def test_the_names_of_dockers_registry_are_names(name: str) -> None:
    assert names(f"repository:{name}:pull") == [name]


@pytest.mark.parametrize(
    "name",
    [
        *("", "/", "/a", "a/", "a//b", ".", "..", "a/..", "a/../b", "a..b", "a___b", "_a", "a-"),
        *("Team/app", "a b", "a%2fb", "a\\b", "a\nb", "a\n", "é", "*", "x" * 256),
    ],
)
def test_what_is_no_name_is_not_asked_for(name: str) -> None:
    assert names(f"repository:{name}:pull") == []


@pytest.mark.parametrize(
    "scope",
    [
        "repository",
        "repository:a",
        "repository:a:",
        "repository:a:,",
        "repository:a:PULL",
        "repository::a:pull",
        "repository:host:5000/a:pull",
        "repository(plugin):a:pull",
        "Repository:a:pull",
        "registry:catalog:pull",
        "registry:catalog:*,pull",
        "registry:other:*",
        ":a:pull",
        "::",
    ],
)
def test_what_the_grammar_does_not_know_is_not_asked_for(scope: str) -> None:
    assert asked([scope]) == []


def test_nobody_asks_for_more_than_any_client_does() -> None:
    scopes = [f"repository:a{number}:pull" for number in range(MOST + 1)]
    assert len(asked(scopes)) == MOST
    assert asked([" ".join(scopes)]) == asked(scopes)


@pytest.mark.parametrize("scope", ["api", "read_api", "read_registry", "write_registry"])
def test_some_scopes_are_good_for_something_in_a_registry(scope: str) -> None:
    assert is_any_held((scope,))
    assert is_any_held(("read_user", scope))


@pytest.mark.parametrize(
    "scopes", [(), ("read_user", "write_repository", "self_rotate"), ("sudo",), ("introspect",)]
)
def test_others_are_good_for_nothing_there(scopes: tuple[str, ...]) -> None:
    assert not is_any_held(scopes)
