from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.http.parse import form
from tokensrv.http.parse.form import Form, FormProblem

FORM = "application/x-www-form-urlencoded"


def read(body: bytes) -> Form:
    found = form.read(FORM, body)
    assert isinstance(found, Form)
    return found


@pytest.mark.parametrize(
    ("body", "values"),
    [
        pytest.param(b"token=a&scope=b+c%20d", {"token": ("a",), "scope": ("b c d",)}, id="usual"),
        pytest.param(b"token", {"token": ("",)}, id="no equals sign"),
        pytest.param(b"token=a=b", {"token": ("a=b",)}, id="two equals signs"),
        pytest.param(b"&&a=1&", {"a": ("1",)}, id="empty fields"),
        pytest.param(b"a=%C3%BC", {"a": ("ü",)}, id="UTF-8"),
        pytest.param(b"a=%FF", {"a": ("\N{REPLACEMENT CHARACTER}",)}, id="no UTF-8"),
        pytest.param(b"a=\xff", {"a": ("\N{REPLACEMENT CHARACTER}",)}, id="raw bytes"),
        pytest.param(b"a=%zz%2", {"a": ("%zz%2",)}, id="broken percent signs"),
        pytest.param(b"a=1;b=2", {"a": ("1;b=2",)}, id="a semicolon separates nothing"),
        pytest.param(b"", {}, id="nothing"),
    ],
)
def test_a_form_is_read(body: bytes, values: dict[str, tuple[str, ...]]) -> None:
    assert read(body).values == values


@pytest.mark.rfc6749("3.2")
@pytest.mark.parametrize("body", [b"token=a&x=1&token=a", b"token=a&x=1&%74oken=b"])
def test_a_repeated_parameter_is_seen(body: bytes) -> None:
    assert read(body).repeated == ("token",)


def test_a_parameter_that_was_not_given_has_no_value() -> None:
    found = read(b"a=1")
    assert found.get("a") == "1"
    assert found.get("b") is None
    assert found.all("b") == ()


@pytest.mark.parametrize(
    "content_type", [FORM, FORM.upper(), FORM + "; charset=UTF-8", FORM + " ;x=y"]
)
def test_parameters_of_the_content_type_do_not_matter(content_type: str) -> None:
    assert isinstance(form.read(content_type, b"a=1"), Form)


@pytest.mark.parametrize("content_type", [None, "", "application/json", "text/plain", "x" + FORM])
def test_another_content_type_is_no_form(content_type: str | None) -> None:
    assert form.read(content_type, b"a=1") is FormProblem.CONTENT_TYPE


def test_no_body_needs_no_content_type() -> None:
    assert form.read(None, b"") == Form({})


def test_a_large_body_is_refused_one_byte_beyond_the_limit() -> None:
    assert isinstance(form.read(FORM, b"a" * form.MAX_BYTES), Form)
    assert form.read(FORM, b"a" * (form.MAX_BYTES + 1)) is FormProblem.TOO_LARGE


@given(st.lists(st.tuples(st.text(min_size=1), st.text())))
def test_what_a_client_encodes_comes_back(pairs: list[tuple[str, str]]) -> None:
    body = urlencode(pairs, errors="replace").encode()
    back = [(name.decode(), value.decode()) for name, value in form.pairs(body)]
    assert back == [
        (name.encode(errors="replace").decode(), value.encode(errors="replace").decode())
        for name, value in pairs
    ]


@given(st.none() | st.text(), st.binary())
def test_hostile_input_never_raises(content_type: str | None, body: bytes) -> None:
    form.read(content_type, body)
    read(body)
