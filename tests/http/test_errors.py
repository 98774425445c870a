from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import TooManyRequests, Unauthorized, UnsupportedMediaType
from werkzeug.test import TestResponse

from tokensrv.domain.secret import Kind, mint
from tokensrv.errors import Invalid, StorageUnavailable
from tokensrv.http import context, guard
from tokensrv.http.answers import challenge, forbidden
from tokensrv.http.permissions import PUBLIC

SECRET = mint("ts", Kind.PERSONAL)
UNAVAILABLE = {"error": "temporarily_unavailable"}


PATHS = ("/api/v4/x", "/oauth/x", "/.well-known/x", "/x")


@pytest.fixture
def public(edge: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """An open route in every edge, which answers with the length of its body."""
    for path in PATHS:
        edge.add_url_rule(path, path, lambda: {"n": len(context.body(9))})
    monkeypatch.setattr(guard, "PUBLIC", PUBLIC | set(PATHS))
    return edge


@pytest.fixture
def failing(public: Flask) -> Callable[[str, Exception], TestResponse]:
    """Ask for a path whose view raises this error."""

    def ask(path: str, error: Exception) -> TestResponse:
        def fail() -> None:
            raise error

        public.view_functions[path] = fail
        return public.test_client().get(path)

    return ask


Failing = Callable[[str, Exception], TestResponse]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/api/v4/nowhere", "/api/v4/", "/api/v5/user", "/api/v4/user/x"])
def test_an_unknown_route_is_told_without_authentication(
    http_client: FlaskClient, method: str, path: str
) -> None:
    found = http_client.open(path, method=method)
    assert (found.status_code, found.json) == (404, {"error": "404 Not Found"})


def test_a_wrong_method_is_told_with_the_right_ones(http_client: FlaskClient) -> None:
    found = http_client.open("/api/v4/users.current_user", method="TRACE")
    assert (found.status_code, found.json) == (405, {"error": "405 Not Allowed"})
    assert "GET" in found.headers["Allow"]
    assert "OPTIONS" not in found.headers["Allow"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/api/v3/projects", "/api/v3/", "/api/v3/users/1"])
def test_version_three_is_gone(http_client: FlaskClient, method: str, path: str) -> None:
    found = http_client.open(path, method=method)
    text = "API V3 is no longer supported. Use API V4 instead."
    assert (found.status_code, found.json) == (410, {"error": text})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/oauth/nowhere", {"error": "invalid_request", "error_description": "404 Not Found"}),
        ("/.well-known/no", {"error": "invalid_request", "error_description": "404 Not Found"}),
        ("/nowhere", {"error": "404 Not Found"}),
    ],
)
def test_other_edges_answer_in_their_own_shape(
    http_client: FlaskClient, path: str, body: dict[str, str]
) -> None:
    found = http_client.get(path)
    assert (found.status_code, found.json) == (404, body)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v4/x", {"message": "503 Service Unavailable"}),
        ("/oauth/x", UNAVAILABLE),
        ("/.well-known/x", UNAVAILABLE),
        ("/x", {"message": "503 Service Unavailable"}),
    ],
)
def test_storage_that_is_away_is_503_and_try_again(
    failing: Failing, path: str, body: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    answer = failing(path, StorageUnavailable())
    assert (answer.status_code, answer.json) == (503, body)
    assert answer.headers["Retry-After"] == "1"
    assert "storage.unavailable" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v4/x", {"message": "500 Internal Server Error"}),
        ("/oauth/x", {"error": "server_error"}),
        ("/x", {"message": "500 Internal Server Error"}),
    ],
)
def test_a_fault_tells_nothing_and_is_logged_without_secrets(
    failing: Failing, path: str, body: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    answer = failing(path, RuntimeError(f"with {SECRET}"))
    assert (answer.status_code, answer.json) == (500, body)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (failed,) = [line for line in lines if line["event"] == "request.failed"]
    assert "RuntimeError: with tsp_***" in failed["exception"]
    assert failed["request_id"]
    assert SECRET not in str(lines)


@pytest.mark.parametrize(
    ("error", "api", "oauth"),
    [
        (
            forbidden("why"),
            (403, {"message": "403 Forbidden - why"}),
            (403, {"error": "access_denied", "error_description": "403 Forbidden - why"}),
        ),
        (
            Invalid("token", "is missing"),
            (400, {"error": "token is missing"}),
            (400, {"error": "invalid_request", "error_description": "token is missing"}),
        ),
        (
            challenge(401, "invalid_token", "It is dead."),
            (401, {"error": "invalid_token", "error_description": "It is dead."}),
            (401, {"error": "invalid_token", "error_description": "It is dead."}),
        ),
        (
            UnsupportedMediaType(),
            (415, {"message": "415 Unsupported Media Type"}),
            (415, {"error": "invalid_request", "error_description": "415 Unsupported Media Type"}),
        ),
    ],
    ids=["ApiError", "TokensrvError", "challenge", "HTTPException"],
)
def test_every_edge_gives_an_error_its_shape(
    failing: Failing, error: Exception, api: tuple[int, object], oauth: tuple[int, object]
) -> None:
    for path, expected in (("/api/v4/x", api), ("/oauth/x", oauth)):
        answer = failing(path, error)
        assert (answer.status_code, answer.json) == expected
        assert answer.content_type == "application/json"


@pytest.mark.parametrize(
    ("error", "header", "value"),
    [
        (TooManyRequests(retry_after=7), "Retry-After", "7"),
        (Unauthorized(www_authenticate=WWWAuthenticate("basic")), "WWW-Authenticate", "Basic"),
    ],
    ids=["Retry-After", "WWW-Authenticate"],
)
def test_headers_of_an_http_error_are_kept(
    failing: Failing, error: Exception, header: str, value: str
) -> None:
    assert failing("/oauth/x", error).headers[header].strip() == value


def test_a_view_that_asks_for_a_caller_where_none_was_let_in_gets_none(public: Flask) -> None:
    public.view_functions["/api/v4/x"] = lambda: context.caller().subject.username
    answer = public.test_client().get("/api/v4/x")
    assert (answer.status_code, answer.json) == (401, {"message": "401 Unauthorized"})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v4/x", {"message": "413 Payload Too Large"}),
        ("/oauth/x", {"error": "invalid_request", "error_description": "413 Payload Too Large"}),
    ],
)
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_beyond_the_limit_is_refused_and_never_cut(
    public: Flask, path: str, body: dict[str, str], is_chunked: bool
) -> None:
    def send(length: int) -> TestResponse:
        options: dict[str, Any] = {}
        if is_chunked:
            options["headers"] = {"Transfer-Encoding": "chunked"}
            options["environ_overrides"] = {"wsgi.input_terminated": True}
        return public.test_client().open(path, data=b"x" * length, **options)

    assert send(9).json == {"n": 9}
    for length in (10, 11, 2000):
        answer = send(length)
        assert (answer.status_code, answer.json) == (413, body)


def test_a_body_whose_end_is_not_known_is_never_taken_for_none(public: Flask) -> None:
    answer = public.test_client().get("/api/v4/x", headers={"Transfer-Encoding": "chunked"})
    assert (answer.status_code, answer.json) == (411, {"message": "411 Length Required"})
