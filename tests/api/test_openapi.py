"""The description of the API: whole, and true where a test can tell."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from tests.api.conftest import Api
from tokensrv.http.permissions import PERMISSIONS


@pytest.fixture
def described(anonymous: Api) -> dict[str, Any]:
    answer = anonymous.client.get("/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json
    return found


def operations(described: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        operation["operationId"]: operation
        for path in described["paths"].values()
        for method, operation in path.items()
        if method != "parameters"
    }


def test_is_of_version_3_1_and_names_this_server(described: dict[str, Any]) -> None:
    assert described["openapi"] == "3.1.0"
    assert described["servers"] == [{"url": "http://127.0.0.1:8000"}]
    assert described["components"]["securitySchemes"].keys() == {"private_token", "bearer"}


def test_has_every_route_and_no_other(described: dict[str, Any], app: Flask) -> None:
    # Prometheus' own format is no part of the API.
    assert operations(described).keys() == PERMISSIONS.keys() - {"metrics.show"}


def test_says_of_every_route_what_it_answers(described: dict[str, Any]) -> None:
    for operation in operations(described).values():
        statuses = set(operation["responses"])
        assert {"400", "401", "403", "413", "415", "500", "503"} <= statuses
        assert len(statuses & {"200", "201", "204"}) == 1
        assert operation["summary"]


def test_shows_parameters_where_they_belong(described: dict[str, Any]) -> None:
    found = operations(described)
    listed = {parameter["name"] for parameter in found["tokens.list_tokens"]["parameters"]}
    assert {"user_id", "revoked", "state", "sort", "page", "per_page"} <= listed
    for operation_id, is_needed in (("users.create_user", True), ("tokens.rotate_token", False)):
        assert found[operation_id]["requestBody"]["required"] is is_needed


def test_describes_the_objects_that_are_answered(
    described: dict[str, Any], admin: Api, user: Api
) -> None:
    schemas = described["components"]["schemas"]
    for path, name in (("/user", "AdminUser"), ("/personal_access_tokens/2", "TokenObject")):
        assert admin.get(path).json.keys() <= schemas[name]["properties"].keys()
    assert user.get("/users/1").json.keys() <= schemas["AdminUser"]["properties"].keys()
