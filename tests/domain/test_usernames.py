from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.domain import usernames
from tokensrv.domain.usernames import Target


@pytest.mark.parametrize("name", ["a", "_", "alice", "Alice.B-c_9", "9a", "a" * 255])
def test_a_user_may_be_called(name: str) -> None:
    assert usernames.is_username(name)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("a" * 256, id="too long"),
        pytest.param("42", id="all digits"),
        pytest.param(".a", id="begins with a dot"),
        pytest.param("-a", id="begins with a hyphen"),
        pytest.param("a,b", id="comma"),
        pytest.param("a b", id="blank"),
        pytest.param("a\n", id="newline"),
        pytest.param("a/b", id="slash"),
        pytest.param("ålice", id="not ASCII"),
        pytest.param("٣a", id="a digit of another script"),
    ],
)
def test_a_user_may_not_be_called(name: str) -> None:
    assert not usernames.is_username(name)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        pytest.param("42", Target("42", 42, None), id="id"),
        pytest.param("007", Target("007", 7, None), id="id with zeros"),
        pytest.param("9" * 18, Target("9" * 18, int("9" * 18), None), id="the largest id"),
        pytest.param("9" * 19, Target("9" * 19, None, "9" * 19), id="too large: nobody's name"),
        pytest.param("Alice", Target("Alice", None, "alice"), id="name in any case"),
        pytest.param("٤٢", Target("٤٢", None, "٤٢"), id="digits of another script are no id"),
        pytest.param("-1", Target("-1", None, "-1"), id="a negative number is no id"),
    ],
)
def test_a_target_is_named(text: str, target: Target) -> None:
    assert usernames.target(text) == target


@given(st.text())
def test_a_target_is_either_an_id_or_a_name(text: str) -> None:
    target = usernames.target(text)
    assert (target.id is None) != (target.key is None)
    assert target.text == text


@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True))
def test_every_username_can_be_named_and_never_means_an_id(name: str) -> None:
    if usernames.is_username(name):
        assert usernames.target(name).key == usernames.key(name.upper())
