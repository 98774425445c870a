"""`/metrics`: who may read it, and under which names answers are counted."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from tests.factories import make_admin, make_client, make_token, make_user
from tests.oauth.conftest import basic
from tokensrv.db import Store


@pytest.fixture
def admin(store: Store) -> dict[str, str]:
    """What Prometheus sends when it is configured with an admin's token."""
    return {"Authorization": f"Bearer {make_token(store, make_admin(store), ('read_api',)).secret}"}


def scraped(client: FlaskClient, admin: dict[str, str]) -> dict[str, float]:
    answer = client.get("/metrics", headers=admin)
    assert answer.status_code == 200
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_an_admins_token_reads_them_as_prometheus_text(
    client: FlaskClient, admin: dict[str, str]
) -> None:
    answer = client.get("/metrics", headers=admin)
    assert re.match(r"text/plain; version=[\d.]+; charset=utf-8", answer.headers["Content-Type"])
    assert answer.headers["Cache-Control"] == "no-store"


def test_nobody_else_does(client: FlaskClient, store: Store) -> None:
    secret = make_token(store, make_user(store)).secret
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"PRIVATE-TOKEN": secret}).status_code == 403


def test_answers_are_counted_by_the_template_of_their_route(
    client: FlaskClient, admin: dict[str, str]
) -> None:
    client.get("/api/v4/users/1", headers=admin)
    client.get("/api/v4/users/4711", headers=admin)
    found = scraped(client, admin)
    route = 'method="GET",route="/api/v4/users/<id:user_id>"'
    assert found[f'tokensrv_http_requests_total{{{route},status="2xx"}}'] == 1
    assert found[f'tokensrv_http_requests_total{{{route},status="4xx"}}'] == 1
    assert found[f"tokensrv_http_request_duration_seconds_count{{{route}}}"] == 2


def test_what_callers_choose_is_no_label(client: FlaskClient, admin: dict[str, str]) -> None:
    client.open("/chosen-path", method="GET")
    client.open("/healthz", method="CHOSEN")
    found = scraped(client, admin)
    assert found['tokensrv_http_requests_total{method="GET",route="none",status="4xx"}'] == 1
    assert found['tokensrv_http_requests_total{method="other",route="none",status="4xx"}'] == 1
    assert not [name for name in found if "chosen" in name.lower()]


def test_introspections_and_sudos_are_counted_by_outcome(
    client: FlaskClient, store: Store, admin: dict[str, str]
) -> None:
    asking, alice = make_client(store, allow=("batch", "sudo")), make_user(store)
    secret = make_token(store, alice).secret
    headers = {"Authorization": basic(asking.record.client_id, asking.secret)}
    client.post("/oauth/introspect", data={"token": secret}, headers=headers)
    client.post("/oauth/introspect", data={"token": "nonsense"}, headers=headers)
    client.post("/oauth/introspect/batch", json={"tokens": [secret, "x"]}, headers=headers)
    client.post("/oauth/introspect", data={"token": secret, "sudo": "root"}, headers=headers)
    client.get("/api/v4/user", headers={"PRIVATE-TOKEN": secret, "Sudo": "root"})
    found = scraped(client, admin)
    assert found['tokensrv_introspections_total{outcome="active"}'] == 2
    assert found['tokensrv_introspections_total{outcome="admin"}'] == 1
    assert found['tokensrv_introspections_total{outcome="unknown"}'] == 2
    # Asked by the client, and by the user himself.
    assert found['tokensrv_sudos_total{outcome="admin"}'] == 2


def test_what_is_not_written_yet_is_told(client: FlaskClient, admin: dict[str, str]) -> None:
    # The question itself is a use of the token.
    assert scraped(client, admin)["tokensrv_usage_waiting"] == 1


def test_a_used_sudo_is_counted(client: FlaskClient, store: Store) -> None:
    make_user(store)
    secret = make_token(store, make_admin(store), ("api", "sudo")).secret
    client.get("/api/v4/user", headers={"PRIVATE-TOKEN": secret, "Sudo": "alice"})
    found = scraped(client, {"PRIVATE-TOKEN": secret})
    assert found['tokensrv_sudos_total{outcome="used"}'] == 1
