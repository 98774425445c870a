from __future__ import annotations

import json
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import make_token, make_user
from tokensrv.db import Store
from tokensrv.http import logs


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line for line in found if line["event"] == "request"]


@pytest.mark.parametrize("path", ["/api/v4/users.current_user", "/api/v4/nowhere", "/healthz"])
def test_every_answer_carries_its_id_and_the_security_headers(
    http_client: FlaskClient, path: str
) -> None:
    answer = http_client.get(path, headers={"X-Request-Id": "from-the-proxy.1"})
    assert answer.headers["X-Request-Id"] == "from-the-proxy.1"
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in answer.headers


def test_an_odd_request_id_is_replaced(http_client: FlaskClient) -> None:
    answer = http_client.get("/healthz", headers={"X-Request-Id": "a b"})
    assert len(answer.headers["X-Request-Id"]) == 32


def test_what_is_private_is_not_stored(http_client: FlaskClient) -> None:
    assert http_client.get("/api/v4/users.current_user").headers["Cache-Control"] == "no-store"
    assert http_client.post("/oauth/x").headers["Cache-Control"] == "no-store"
    assert http_client.post("/oauth/x").headers["Pragma"] == "no-cache"
    assert "Cache-Control" not in http_client.get("/.well-known/x").headers


def test_no_content_has_no_type(edge: Flask, store: Store, http_client: FlaskClient) -> None:
    edge.view_functions["users.current_user"] = lambda: ("", 204)
    secret = make_token(store, make_user(store)).secret
    answer = http_client.get("/api/v4/users.current_user", headers={"PRIVATE-TOKEN": secret})
    assert answer.status_code == 204
    assert "Content-Type" not in answer.headers
    assert answer.data == b""


def test_a_request_is_one_line_with_its_caller_and_without_its_query(
    store: Store, http_client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    alice = make_user(store)
    token = make_token(store, alice)
    answer = http_client.get(f"/api/v4/users.current_user?private_token={token.secret}")
    (line,) = lines(capsys)
    assert (line["method"], line["path"]) == ("GET", "/api/v4/users.current_user")
    assert (line["status"], line["ip"]) == (200, "127.0.0.1")
    assert (line["token_id"], line["actor_id"]) == (token.record.id, alice.id)
    assert line["subject_id"] == alice.id
    assert line["request_id"] == answer.headers["X-Request-Id"]
    assert token.secret not in str(line)


def test_a_secret_in_the_path_is_masked(
    store: Store, http_client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = make_token(store, make_user(store)).secret
    http_client.get(f"/api/v4/personal_access_tokens/{secret}")
    assert lines(capsys)[0]["path"] == "/api/v4/personal_access_tokens/tsp_***"


@pytest.mark.parametrize("path", ["/-/calendar/Zm9v.ics", "/-/calendar/Zm9v", "/-/calendar/a/Zm9v"])
def test_the_secret_of_a_calendar_feed_is_masked(
    http_client: FlaskClient, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    http_client.get(path)
    assert lines(capsys)[0]["path"] == "/-/calendar/***"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_the_probes_write_no_line(
    http_client: FlaskClient, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    http_client.get(path)
    assert lines(capsys) == []


def test_a_refusal_on_the_hot_path_does_write_one(
    http_client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    http_client.post("/oauth/introspect", data={"token": "x"})
    (line,) = lines(capsys)
    assert (line["path"], line["status"]) == ("/oauth/introspect", 404)


def test_nothing_of_a_request_is_left_for_the_next(http_client: FlaskClient) -> None:
    http_client.get("/healthz", headers={"X-Request-Id": "first"})
    assert logs.current_request.get() is None


def test_only_a_trusted_proxy_says_where_a_request_comes_from(
    store: Store, http_client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = {"X-Forwarded-For": "198.51.100.7"}
    http_client.get("/api/v4/nowhere", headers=headers)
    store.settings = replace(store.settings, trusted_proxies=("127.0.0.0/8",))
    http_client.get("/api/v4/nowhere", headers=headers)
    assert [line["ip"] for line in lines(capsys)] == ["127.0.0.1", "198.51.100.7"]
