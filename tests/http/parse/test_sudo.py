"""The matrix of what servers hand over, and everything else that is no name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.domain.caller import InvalidSudo, SudoAsk
from tokensrv.domain.usernames import target
from tokensrv.http.parse import sudo
from tokensrv.http.parse.parameters import UNREADABLE

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.just(UNREADABLE),
    st.lists(st.text()),
    st.dictionaries(st.text(), st.text()),
)


def test_nothing_is_asked_when_neither_is_there() -> None:
    assert sudo.read(None, []) is None


def test_a_reason_alone_asks_nothing() -> None:
    assert sudo.read(None, [], "because", ["because"]) is None


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("alice", id="every server"),
        pytest.param("alice  ", id="trailing blanks: werkzeug keeps them"),
        pytest.param("\talice", id="leading tab"),
    ],
)
def test_a_header_names_a_user(header: str) -> None:
    assert sudo.read(header, []) == SudoAsk(target("alice"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("alice", "alice", id="a name"),
        pytest.param("42", "42", id="digits"),
        pytest.param(42, "42", id="a JSON integer"),
        pytest.param(0, "0", id="zero is present"),
        pytest.param("a@b.example", "a@b.example", id="an e-mail is an unknown name"),
        pytest.param(" alice", " alice", id="a parameter is not trimmed"),
    ],
)
def test_a_parameter_names_a_user(value: object, text: str) -> None:
    assert sudo.read(None, [value]) == SudoAsk(target(text))


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("", id="empty, or bytes that granian drops"),
        pytest.param("   ", id="blank"),
        pytest.param("alice,bob", id="two headers, joined"),
        pytest.param("alice, bob", id="two headers, joined with a blank"),
        pytest.param(",", id="two empty headers, joined"),
        pytest.param("\xc3\xbcmit", id="UTF-8 as mojibake"),
        pytest.param("\xfcmit", id="Latin-1"),
        pytest.param("ali\0ce", id="NUL: werkzeug lets it through"),
    ],
)
def test_a_header_that_is_no_name_is_invalid(header: str) -> None:
    assert sudo.read(header, []) == InvalidSudo()


@pytest.mark.parametrize(
    ("header", "name"),
    [
        pytest.param("ali\tce", "ali\tce", id="embedded tab: kept by all"),
        pytest.param("alice bob", "alice bob", id="folded line: werkzeug joins it"),
    ],
)
def test_an_odd_header_is_a_name_that_nobody_has(header: str, name: str) -> None:
    assert sudo.read(header, []) == SudoAsk(target(name))


@pytest.mark.parametrize(
    "value",
    [
        "", " ", "alice,bob", "ümit", "ali\0ce", "\ud800", None, True, False, 4.0, [], ["alice"],
        {}, {"id": 1}, UNREADABLE,
    ],
    ids=lambda value: "unreadable" if value is UNREADABLE else repr(value),
)  # fmt: skip
def test_a_parameter_that_is_no_name_is_invalid(value: object) -> None:
    assert sudo.read(None, [value]) == InvalidSudo()


def test_a_parameter_given_twice_is_invalid_even_if_equal() -> None:
    assert sudo.read(None, ["alice", "alice"]) == InvalidSudo()


@pytest.mark.parametrize(
    ("header", "value"), [("alice", "alice"), ("Alice", "aLICE"), ("42", "42"), ("42", 42)]
)
def test_header_and_parameter_may_agree(header: str, value: object) -> None:
    asked = sudo.read(header, [value])
    assert isinstance(asked, SudoAsk)
    assert asked.target.text == str(value)


@pytest.mark.parametrize(
    ("header", "value"), [("alice", "bob"), ("42", "alice"), ("", "alice"), ("alice", "")]
)
def test_header_and_parameter_that_disagree_are_invalid(header: str, value: str) -> None:
    assert sudo.read(header, [value]) == InvalidSudo()


@pytest.mark.parametrize(
    ("header", "values", "reason"),
    [
        pytest.param("ticket 7", [], "ticket 7", id="header"),
        pytest.param(None, ["ticket 7"], "ticket 7", id="parameter"),
        pytest.param("ticket 7", [" ticket 7 "], "ticket 7", id="both, equal"),
        pytest.param("a, b", [], "a, b", id="a comma is no second reason"),
        pytest.param("", [], "", id="an empty header is no absence"),
        pytest.param("  ", [""], "", id="both blank"),
        pytest.param("", ["ticket 7"], "", id="an empty header beside a reason"),
        pytest.param(None, [" "], None, id="a blank parameter is absent"),
        pytest.param(None, [None], None, id="null"),
        pytest.param("M\xc3\xbcll", ["Müll"], "Müll", id="UTF-8 as WSGI hands it over"),
    ],
)
def test_a_reason_comes_along(header: str | None, values: list[Any], reason: str | None) -> None:
    assert sudo.read("alice", [], header, values) == SudoAsk(target("alice"), reason)


@pytest.mark.parametrize(
    ("header", "values"),
    [
        pytest.param("one", ["two"], id="disagree"),
        pytest.param("one", ["ONE"], id="case counts here"),
        pytest.param(None, ["one", "one"], id="given twice"),
        pytest.param(None, [7], id="a number"),
        pytest.param(None, [False], id="false"),
        pytest.param(None, [0], id="zero"),
        pytest.param(None, [UNREADABLE], id="no UTF-8"),
        pytest.param(None, ["a\0b"], id="NUL"),
        pytest.param("M\xfcll", [], id="Latin-1"),
    ],
)
def test_a_reason_that_cannot_be_read_is_never_ignored(
    header: str | None, values: list[Any]
) -> None:
    assert sudo.read("alice", [], header, values) == InvalidSudo()


@given(st.none() | st.text(), st.lists(VALUES, max_size=3), st.none() | st.text(), st.lists(VALUES))
def test_whatever_is_present_is_never_nothing(
    header: str | None, values: list[Any], reason: str | None, reasons: list[Any]
) -> None:
    found = sudo.read(header, values, reason, reasons)
    assert (found is None) == (header is None and not values)
    if isinstance(found, SudoAsk):
        assert found.target.text.strip()
        assert "," not in found.target.text
        assert found.target.text.isascii()
