"""Authlib's OAuth2Session, unmodified, against a real server of two workers."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session

from tests.live.servers import Server

PATIENCE_SECONDS = 30


@pytest.fixture(params=["client_secret_basic", "client_secret_post"])
def session(live_server: Server, request: pytest.FixtureRequest) -> Iterator[OAuth2Session]:
    instance = live_server.instance
    with OAuth2Session(
        instance.client_id,
        instance.client_secret,
        token_endpoint_auth_method=request.param,
        introspection_endpoint_auth_method=request.param,
        revocation_endpoint_auth_method=request.param,
        default_timeout=PATIENCE_SECONDS,
    ) as session:
        yield session


@pytest.fixture
def token(live_server: Server) -> str:
    """Return the secret of a new token of a new user."""
    api = f"{live_server.url}/api/v4"
    headers = {"PRIVATE-TOKEN": live_server.instance.admin_token}
    name = f"user-{uuid4().hex[:8]}"
    user = {"username": name, "name": name, "email": f"{name}@example.org"}
    made = requests.post(
        f"{api}/users",
        json=user | {"force_random_password": True},
        headers=headers,
        timeout=PATIENCE_SECONDS,
    )
    assert made.status_code == 201, made.text
    answer = requests.post(
        f"{api}/users/{made.json()['id']}/personal_access_tokens",
        json={"name": "for Authlib", "scopes": ["read_api"]},
        headers=headers,
        timeout=PATIENCE_SECONDS,
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


@pytest.mark.rfc7662("2")
def test_a_token_is_introspected_then_revoked_and_then_inactive(
    live_server: Server, session: OAuth2Session, token: str
) -> None:
    introspect, revoke = f"{live_server.url}/oauth/introspect", f"{live_server.url}/oauth/revoke"
    told = session.introspect_token(introspect, token=token, token_type_hint="access_token")
    assert told.status_code == 200
    assert told.json()["scope"] == "read_api"
    assert told.json()["iss"] == live_server.url
    done = session.revoke_token(revoke, token=token, token_type_hint="access_token")
    assert done.status_code == 200
    for _ in range(10):
        # Whichever of the workers answers.
        again = session.introspect_token(introspect, token=token)
        assert again.json() == {"active": False}


def test_the_endpoints_are_found_in_the_metadata(
    live_server: Server, session: OAuth2Session, token: str
) -> None:
    document = live_server.get("/.well-known/oauth-authorization-server").json()
    told = session.introspect_token(document["introspection_endpoint"], token=token)
    assert told.json()["active"] is True
    assert session.revoke_token(document["revocation_endpoint"], token=token).status_code == 200


def test_sudo_is_told_with_the_admin_as_actor(
    live_server: Server, session: OAuth2Session, token: str
) -> None:
    introspect = f"{live_server.url}/oauth/introspect"
    user = session.introspect_token(introspect, token=token).json()["username"]
    admin_token = live_server.instance.admin_token
    for told in (
        session.introspect_token(introspect, token=admin_token, body=f"sudo={user}"),
        session.introspect_token(introspect, token=admin_token, headers={"Sudo": user}),
    ):
        assert told.json()["username"] == user
        assert told.json()["act"]["username"] == "root"
    refused = session.introspect_token(introspect, token=token, headers={"Sudo": "root"})
    assert refused.json() == {"active": False}


def test_a_wrong_secret_is_refused(live_server: Server) -> None:
    with OAuth2Session(live_server.instance.client_id, "wrong") as stranger:
        answer = stranger.introspect_token(f"{live_server.url}/oauth/introspect", token="x")
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"
