from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.domain.repositories import MAX_LENGTH, above, path, prefix
from tokensrv.errors import Invalid

PATHS = {
    "app": "app",
    "team/app": "team/app",
    "/team/app": "team/app",
    "team/app.git": "team/app",
    "/team/app.git/": "team/app",
    # Only one of them is Git's.
    "app.git.git": "app.git",
    "team.git/app": "team.git/app",
    "Team/App": "Team/App",
    "team/..app": "team/..app",
    "équipe/my app": "équipe/my app",
}
NO_PATHS = {
    "nothing": "",
    "slashes": "//",
    "nothing but the suffix": "/.git",
    "the folder that Git hides": "team/app/.git",
    "an empty segment": "team//app",
    "this folder": "team/./app",
    "the folder above": "team/../app",
    "the folder above at the end": "team/..",
    "the folder above as a repository": "team/...git",
    "a backslash": "team\\app",
    "a query": "team/app?x",
    "a fragment": "team/app#x",
    "an escape": "team%2fapp",
    "NUL": "team\0app",
    "a line break": "team\napp",
    "what turns the text around": "team/\u202eapp",
    "a lone surrogate": "team/\udcff",
}
EVERY_NO_PATH = pytest.mark.parametrize("text", NO_PATHS.values(), ids=NO_PATHS)

segments = st.lists(st.text("ab.-", min_size=1).filter(lambda s: s not in {".", ".."}), min_size=1)


@pytest.mark.parametrize(("text", "expected"), PATHS.items())
def test_a_path_is_its_segments_without_slashes_around_it_and_gits_suffix(
    text: str, expected: str
) -> None:
    assert path(text) == prefix(text) == expected


@EVERY_NO_PATH
def test_what_may_mean_another_repository_to_somebody_else_is_no_path(text: str) -> None:
    assert path(text) is None


@pytest.mark.parametrize("text", [" team", "team ", " / "])
def test_blanks_around_a_prefix_are_a_slip(text: str) -> None:
    with pytest.raises(Invalid):
        prefix(text)


@EVERY_NO_PATH
def test_nor_is_it_a_prefix(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        prefix(text)
    assert (refused.value.field, refused.value.problem) == ("prefix", "is invalid")


def test_one_slash_is_the_prefix_of_everything() -> None:
    assert prefix("/") == ""


def test_a_prefix_is_as_long_as_its_column() -> None:
    longest = "x" * MAX_LENGTH
    assert prefix(longest) == longest
    with pytest.raises(Invalid):
        prefix(f"{longest}x")


def test_above_a_repository_are_whole_segments_alone() -> None:
    assert above("team/app/lib") == ["", "team", "team/app", "team/app/lib"]


@given(segments, segments)
def test_a_prefix_is_above_just_those_that_begin_with_all_its_segments(
    repository: list[str], rule: list[str]
) -> None:
    is_above = "/".join(rule) in above("/".join(repository))
    assert is_above is (repository[: len(rule)] == rule)


def test_a_strangers_endless_path_asks_for_no_more_than_there_can_be() -> None:
    found = above("/".join("a" * 100_000))
    assert len(found) == 1 + (MAX_LENGTH + 1) // 2
    assert max(map(len, found)) == MAX_LENGTH
    assert above("x" * (MAX_LENGTH + 1)) == [""]
