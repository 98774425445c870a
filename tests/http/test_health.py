from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from tokensrv.db import Store
from tokensrv.errors import StorageUnavailable
from tokensrv.http import health
from tokensrv.services.keys import signing_keys
from tokensrv.services.schema import SchemaState
from tokensrv.services.trail.events import COMMAND_LINE

WRONG = [
    (SchemaState.EMPTY, "run `tokensrv init`"),
    (SchemaState.OLDER, "run `tokensrv db upgrade`"),
    (SchemaState.NEWER, "install a newer tokensrv"),
]


@pytest.fixture
def schema(monkeypatch: pytest.MonkeyPatch) -> Callable[[SchemaState | Exception], None]:
    """Let the database's schema be what the test says."""

    def be(found: SchemaState | Exception) -> None:
        def state(_store: object) -> SchemaState:
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(health, "state", state)

    return be


Schema = Callable[[SchemaState | Exception], None]


def test_a_process_with_its_database_is_ready(http_client: FlaskClient) -> None:
    for path in ("/healthz", "/readyz"):
        answer = http_client.get(path)
        assert (answer.status_code, answer.json) == (200, {"status": "ok"})


@pytest.mark.parametrize(("found", "command"), WRONG)
def test_a_schema_that_does_not_fit_closes_everything_but_healthz(
    http_client: FlaskClient, schema: Schema, found: SchemaState, command: str
) -> None:
    schema(found)
    assert http_client.get("/healthz").status_code == 200
    ready = http_client.get("/readyz")
    assert (ready.status_code, ready.json["status"]) == (503, "unavailable")
    assert command in ready.json["why"]
    for path in ("/api/v4/users.current_user", "/oauth/introspect"):
        answer = http_client.get(path)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "1"


def test_the_log_names_the_command_once(
    http_client: FlaskClient, schema: Schema, capsys: pytest.CaptureFixture[str]
) -> None:
    schema(SchemaState.OLDER)
    for _ in range(3):
        http_client.get("/api/v4/users.current_user")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (told,) = [line for line in lines if line["event"] == "schema.mismatch"]
    assert "tokensrv db upgrade" in told["why"]


def test_it_opens_when_the_schema_was_upgraded_and_does_not_ask_again(
    http_client: FlaskClient, schema: Schema
) -> None:
    schema(SchemaState.OLDER)
    assert http_client.get("/api/v4/users.current_user").status_code == 503
    schema(SchemaState.CURRENT)
    assert http_client.get("/api/v4/users.current_user").status_code == 401
    schema(StorageUnavailable())
    assert http_client.get("/api/v4/users.current_user").status_code == 401


def test_a_database_that_is_away_is_not_ready(http_client: FlaskClient, schema: Schema) -> None:
    schema(StorageUnavailable())
    assert http_client.get("/healthz").status_code == 200
    ready = http_client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json["why"] == "The database is not available, try again."
    answer = http_client.get("/api/v4/users.current_user")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


def test_a_node_that_cannot_sign_is_ready_and_says_what_it_cannot(
    http_client: FlaskClient, store: Store
) -> None:
    signing_keys.rotate(store, COMMAND_LINE)
    assert http_client.get("/readyz").json == {"status": "ok"}
    path = store.settings.master_key_path
    path.unlink()
    answer = http_client.get("/readyz")
    assert (answer.status_code, answer.json["status"]) == (200, "degraded")
    assert f"The master key {path} is missing" in answer.json["why"]
