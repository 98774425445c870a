from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.http.answers import ApiError
from tokensrv.http.parse import parameters

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
NAMES = ("name", "scopes", "sudo")
UNREADABLE_BODY = {"error": "message body does not match declared format"}


def multipart(*parts: tuple[str, str]) -> tuple[str, bytes]:
    lines = [
        f'--cut\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in parts
    ]
    return "multipart/form-data; boundary=cut", ("".join(lines) + "--cut--\r\n").encode()


def refused(query: bytes, content_type: str | None, body: bytes) -> ApiError:
    with pytest.raises(ApiError) as error:
        parameters.read(query, content_type, body).merged(NAMES)
    return error.value


@pytest.mark.parametrize(
    ("query", "content_type", "body"),
    [
        pytest.param(b"name=a&scopes[]=b&scopes[]=c", None, b"", id="query"),
        pytest.param(b"", FORM, b"name=a&scopes%5B%5D=b&scopes[]=c", id="form"),
        pytest.param(b"", JSON, b'{"name":"a","scopes":["b","c"]}', id="json"),
        pytest.param(b"name=a", JSON + "; charset=utf-8", b'{"scopes":["b","c"]}', id="both"),
        pytest.param(b"name=a", "a/b+json", b'{"scopes":["b","c"]}', id="+json"),
        pytest.param(b"name=a", *multipart(("scopes[]", "b"), ("scopes[]", "c")), id="parts"),
    ],
)
def test_all_sources_are_merged(query: bytes, content_type: str | None, body: bytes) -> None:
    found = parameters.read(query, content_type, body).merged(NAMES)
    assert found == {"name": "a", "scopes": ["b", "c"]}


def test_json_keeps_its_types() -> None:
    body = b'{"name":null,"scopes":7,"sudo":true}'
    found = parameters.read(b"", JSON, body).merged(NAMES)
    assert found == {"name": None, "scopes": 7, "sudo": True}


@pytest.mark.parametrize("content_type", [None, JSON, FORM, "text/plain", "multipart/form-data"])
def test_an_empty_body_is_none_whatever_its_content_type(content_type: str | None) -> None:
    assert parameters.read(b"name=a", content_type, b"").merged(NAMES) == {"name": "a"}


@pytest.mark.parametrize(
    ("query", "content_type", "body"),
    [
        pytest.param(b"name=a&name=a", None, b"", id="in the query"),
        pytest.param(b"name=a&%6eame=b", None, b"", id="in the query, encoded"),
        pytest.param(b"", FORM, b"name=a&name=b", id="in the form"),
        pytest.param(b"name=a", FORM, b"name=b", id="query and form"),
        pytest.param(b"name=a", JSON, b'{"name":"b"}', id="query and JSON"),
        pytest.param(b"", JSON, b'{"name":"a","name":"a"}', id="JSON key"),
        pytest.param(b"", JSON, b'{"name":"a","n\\u0061me":"b"}', id="JSON key, escaped"),
        pytest.param(b"", *multipart(("name", "a"), ("name", "b")), id="parts"),
        pytest.param(b"name=a&name[]=b", None, b"", id="value and array"),
        pytest.param(b"name[]=a", FORM, b"name[]=b", id="array in query and form"),
    ],
)
def test_a_known_name_given_twice_is_refused(
    query: bytes, content_type: str | None, body: bytes
) -> None:
    error = refused(query, content_type, body)
    assert (error.status, error.body) == (400, {"error": "name is invalid"})


def test_every_wrong_name_is_told() -> None:
    error = refused(b"name=1&name=2&sudo=%FF&scopes=a", None, b"")
    assert error.body == {"error": "name is invalid, sudo is invalid"}


def test_unknown_names_are_ignored_even_twice() -> None:
    found = parameters.read(b"x=1&x=2&name=a&%FF=%FF", None, b"")
    assert found.merged(NAMES) == {"name": "a"}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param(FORM, b"name=%FF", id="no UTF-8"),
        pytest.param(FORM, b"name=a%00b", id="NUL"),
        pytest.param(JSON, b'{"name":"a\\u0000b"}', id="NUL in JSON"),
        pytest.param(JSON, b'{"name":"\\ud800"}', id="half a surrogate pair"),
        pytest.param(JSON, b'{"name":["a","\\udfff"]}', id="half a surrogate pair in a list"),
        pytest.param(JSON, b'{"name":{"\\u0000":1}}', id="NUL in a key"),
        pytest.param(JSON, b'{"name":' + b"[" * 400 + b"]" * 400 + b"}", id="deep"),
    ],
)
def test_a_value_that_no_parameter_takes_is_refused(content_type: str, body: bytes) -> None:
    error = refused(b"", content_type, body)
    assert (error.status, error.body) == (400, {"error": "name is invalid"})


@pytest.mark.parametrize("query", [b"sudo[]=alice", b"sudo[id]=1", b"sudo[=alice", b"sudo[]x=1"])
def test_a_name_with_brackets_is_still_present(query: bytes) -> None:
    (value,) = parameters.read(query, None, b"").all("sudo")
    assert isinstance(value, list | dict)


def test_a_file_of_a_parameters_name_is_present_and_refused() -> None:
    body = (
        b'--cut\r\nContent-Disposition: form-data; name="sudo"; filename="x"\r\n\r\n'
        b"alice\r\n--cut--\r\n"
    )
    error = refused(b"", "multipart/form-data; boundary=cut", body)
    assert error.body == {"error": "sudo is invalid"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="cut"),
        pytest.param(b" ", id="blank"),
        pytest.param(b"[]", id="an array"),
        pytest.param(b"null", id="null"),
        pytest.param(b'"name"', id="a string"),
        pytest.param(b"7", id="a number"),
        pytest.param(b'{"name":NaN}', id="NaN"),
        pytest.param(b'{"name":-Infinity}', id="infinity"),
        pytest.param(b'{"name":1e999}', id="a float beyond all"),
        pytest.param(b'{"name":' + b"9" * 10_000 + b"}", id="a giant integer"),
        pytest.param(b"[" * 100_000, id="nested without end"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="nested very deep"),
        pytest.param(b'{"name":"\xff"}', id="no UTF-8"),
        pytest.param('{"name":"a"}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b'\xef\xbb\xbf{"name":"a"}', id="a byte order mark"),
        pytest.param(b'{"name":"a"}{}', id="two documents"),
        pytest.param(b"{'name':'a'}", id="single quotes"),
        pytest.param(b'{"name":"a\nb"}', id="a raw line end"),
    ],
)
def test_json_that_is_none_is_refused(body: bytes) -> None:
    error = refused(b"", JSON, body)
    assert (error.status, error.body) == (400, UNREADABLE_BODY)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param("multipart/form-data", b"--cut--", id="no boundary"),
        pytest.param("multipart/form-data; boundary=\xfc", b"--cut--", id="odd boundary"),
        pytest.param("multipart/form-data; boundary=cut", b"--cut", id="cut off"),
        pytest.param("multipart/form-data; boundary=a", b"--a\r\n\r\nx\r\n--a--", id="no name"),
        pytest.param(*multipart(*[("a", "")] * 1001), id="too many parts"),
        pytest.param(FORM, b"a&" * 1001, id="too many fields"),
    ],
)
def test_a_broken_form_is_refused(content_type: str, body: bytes) -> None:
    error = refused(b"", content_type, body)
    assert (error.status, error.body) == (400, UNREADABLE_BODY)


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/xml"])
def test_another_content_type_is_not_supported(content_type: str | None) -> None:
    error = refused(b"", content_type, b"name=a")
    assert error.status == 415
    text = f"The provided content-type '{content_type or ''}' is not supported."
    assert error.body == {"error": text}


@given(
    st.binary(),
    st.sampled_from([None, JSON, FORM, "multipart/form-data; boundary=cut", "a/b+json"])
    | st.text(),
    st.binary() | st.binary().map(lambda raw: b"--cut\r\n" + raw + b"\r\n--cut--"),
)
def test_hostile_bytes_raise_nothing_but_answers(
    query: bytes, content_type: str | None, body: bytes
) -> None:
    with suppress(ApiError):
        parameters.read(query, content_type, body).merged(NAMES)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.sampled_from(NAMES), JSON_VALUES))
def test_a_json_object_is_read_as_it_is_or_refused(body: dict[str, Any]) -> None:
    with suppress(ApiError):
        assert parameters.read(b"", JSON, json.dumps(body).encode()).merged(NAMES) == body
