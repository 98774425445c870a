from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.http.answers import ApiError
from tokensrv.http.parse import credentials, parameters


def presented(
    *,
    query: bytes = b"",
    body: dict[str, Any] | None = None,
    private_token: str | None = None,
    authorization: str | None = None,
    in_query: bool = True,
) -> str | None:
    raw = b"" if body is None else json.dumps(body).encode()
    return credentials.presented(
        parameters.read(query, "application/json", raw),
        private_token=private_token,
        authorization=authorization,
        in_query=in_query,
    )


@pytest.mark.parametrize(
    "source",
    [
        pytest.param({"query": b"private_token=t"}, id="private_token in the URL"),
        pytest.param({"body": {"private_token": "t"}}, id="private_token in the body"),
        pytest.param({"private_token": "t"}, id="PRIVATE-TOKEN"),
        pytest.param({"private_token": " t "}, id="PRIVATE-TOKEN with blanks"),
        pytest.param({"authorization": "Bearer t"}, id="Bearer"),
        pytest.param({"authorization": "bearer  t "}, id="bearer in lower case"),
        pytest.param({"query": b"access_token=t"}, id="access_token"),
        pytest.param({"body": {"bearer_token": "t"}}, id="bearer_token"),
    ],
)
def test_each_way_presents_the_token(source: dict[str, Any]) -> None:
    assert presented(**source) == "t"


@pytest.mark.parametrize(
    "source",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"query": b"private_token="}, id="empty parameter"),
        pytest.param({"query": b"private_token=+"}, id="blank parameter"),
        pytest.param({"body": {"private_token": None}}, id="null"),
        pytest.param({"private_token": ""}, id="empty header"),
        pytest.param({"authorization": "Bearer "}, id="empty bearer"),
        pytest.param({"authorization": "Bearer"}, id="bearer without a value"),
        pytest.param({"authorization": "Basic dDp0"}, id="another scheme"),
        pytest.param({"authorization": ""}, id="empty authorization"),
    ],
)
def test_blank_is_absent(source: dict[str, Any]) -> None:
    assert presented(**source) is None


@pytest.mark.parametrize(
    ("source", "first"),
    [
        ({"query": b"private_token=a", "private_token": "b", "authorization": "Bearer c"}, "a"),
        ({"private_token": "b", "authorization": "Bearer c"}, "b"),
        ({"query": b"private_token=", "private_token": "b"}, "b"),
        ({"authorization": "Bearer c", "query": b"bearer_token=e"}, "c"),
        ({"query": b"access_token=d&bearer_token=e"}, "d"),
    ],
)
def test_the_first_source_counts_alone(source: dict[str, Any], first: str) -> None:
    assert presented(**source) == first


def test_tokens_in_the_url_can_be_switched_off_and_those_in_the_body_stay() -> None:
    assert presented(query=b"private_token=a", in_query=False) is None
    assert presented(query=b"private_token=a", body={"private_token": "b"}, in_query=False) == "b"


@pytest.mark.rfc6750("2")
@pytest.mark.parametrize("private_token", [None, "t"])
def test_a_bearer_token_in_header_and_payload_is_refused(private_token: str | None) -> None:
    with pytest.raises(ApiError) as refused:
        presented(query=b"access_token=t", authorization="Bearer t", private_token=private_token)
    assert refused.value.status == 400
    assert refused.value.body == {
        "error": "invalid_request",
        "error_description": "Both Authorization header and payload includes access token.",
    }


@pytest.mark.parametrize("name", ["private_token", "access_token", "bearer_token"])
def test_a_token_given_twice_is_refused(name: str) -> None:
    with pytest.raises(ApiError) as refused:
        presented(query=f"{name}=t&{name}=t".encode())
    assert refused.value.status == 400
    assert refused.value.body == {"error": f"{name} is invalid"}


@pytest.mark.parametrize("value", [7, True, 1.5, [], ["t"], {}, {"t": "t"}], ids=repr)
def test_what_is_no_text_is_a_token_that_nobody_knows(value: object) -> None:
    assert presented(body={"private_token": value}, private_token="good") not in {None, "good"}


def test_bytes_that_are_no_text_are_a_token_that_nobody_knows() -> None:
    assert presented(query=b"private_token=%FF", private_token="good") not in {None, "good"}


@given(st.none() | st.text(), st.none() | st.text(), st.none() | st.text())
def test_hostile_text_never_raises(
    parameter: str | None, private_token: str | None, authorization: str | None
) -> None:
    body = {"private_token": parameter}
    presented(body=body, private_token=private_token, authorization=authorization)
