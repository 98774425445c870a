"""RFC 9728 for our own API, and the challenges that lead there (RFC 6750)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from werkzeug.http import parse_dict_header
from werkzeug.test import TestResponse

from tests.oauth.conftest import World
from tests.oauth.exchanges import exchanged, of_token
from tokensrv.db import Store
from tokensrv.domain import secret
from tokensrv.services.directory import user_states
from tokensrv.services.lifecycle import tokens
from tokensrv.services.trail.events import COMMAND_LINE

PATH = "/.well-known/oauth-protected-resource"


@pytest.fixture(params=["https://tokens.example.org", "https://example.org/base/path"])
def external_url(
    request: pytest.FixtureRequest, store: Store, monkeypatch: pytest.MonkeyPatch
) -> str:
    url: str = request.param
    monkeypatch.setattr(store, "settings", replace(store.settings, external_url=url))
    return url


def challenge(answer: TestResponse) -> dict[str, str | None]:
    """Return the parameters of the one challenge, which is a bearer's."""
    [header] = answer.headers.getlist("WWW-Authenticate")
    scheme, _, parameters = header.partition(" ")
    assert scheme == "Bearer"
    return parse_dict_header(parameters)


def get(world: World, token: str | None = None, path: str = "/user") -> TestResponse:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return world.http.get(f"/api/v4{path}", headers=headers)


@pytest.mark.rfc9728("2")
def test_the_document_says_whose_tokens_the_api_takes_and_how(
    client: FlaskClient, external_url: str
) -> None:
    answer = client.get(PATH)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    document = answer.get_json()
    assert {"api", "read_api", "sudo"} <= set(document.pop("scopes_supported"))
    assert document == {
        "resource": external_url,
        "resource_name": "tokensrv",
        "authorization_servers": [external_url],
        "bearer_methods_supported": ["header", "body", "query"],
    }


@pytest.mark.rfc9728("2")
def test_tokens_in_the_url_are_named_only_where_they_count(
    client: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "settings", replace(store.settings, query_tokens=False))
    assert client.get(PATH).get_json()["bearer_methods_supported"] == ["header", "body"]


@pytest.mark.rfc9728("3.3")
def test_what_a_challenge_leads_to_is_about_the_resource_it_was_for(
    world: World, external_url: str
) -> None:
    url = challenge(get(world))["resource_metadata"]
    assert url is not None
    # RFC 9728 §3.1: the well-known part stands between the host and the path.
    host, _, path = external_url.removeprefix("https://").partition("/")
    assert url == f"https://{host}{PATH}" + (f"/{path}" if path else "")
    document = world.http.get(url.removeprefix(f"https://{host}")).get_json()
    assert document["resource"] == external_url


@pytest.mark.rfc9728("4")
def test_both_documents_name_each_other(client: FlaskClient, external_url: str) -> None:
    resource = client.get(PATH).get_json()
    server = client.get("/.well-known/oauth-authorization-server").get_json()
    assert server["protected_resources"] == [resource["resource"]]
    assert resource["authorization_servers"] == [server["issuer"]]


@pytest.mark.rfc9728("3.1")
def test_there_is_no_other_resource(client: FlaskClient, external_url: str) -> None:
    for wrong in ("/other", "/base", "/base/path/more", "/api/v4"):
        assert client.get(PATH + wrong).status_code == 404


@pytest.mark.rfc9728("3.3")
def test_the_host_header_names_no_resource(client: FlaskClient, external_url: str) -> None:
    for path in (PATH, "/api/v4/user"):
        answer = client.get(path, headers={"Host": "evil.example"})
        assert "evil" not in answer.text + str(answer.headers)


@pytest.mark.rfc6750("3")
@pytest.mark.parametrize("path", ["/user", "/personal_access_tokens/self", "/version"])
def test_without_a_credential_the_challenge_has_no_error(world: World, path: str) -> None:
    answer = get(world, path=path)
    assert (answer.status_code, answer.get_json()) == (401, {"message": "401 Unauthorized"})
    assert challenge(answer) == {
        "realm": "Protected by OAuth 2.0",
        "resource_metadata": f"http://127.0.0.1:8000{PATH}",
    }


@pytest.mark.rfc6750("3.1")
@pytest.mark.parametrize(
    "token",
    [secret.mint("ts", secret.Kind.PERSONAL), "nonsense"],
    ids=["well-formed", "malformed"],
)
def test_an_unknown_token_is_challenged_as_invalid(world: World, token: str) -> None:
    answer = get(world, token)
    assert (answer.status_code, answer.get_json()) == (401, {"message": "401 Unauthorized"})
    assert challenge(answer)["error"] == "invalid_token"
    assert "resource_metadata" in challenge(answer)


@pytest.mark.rfc6750("3.1")
@pytest.mark.parametrize("end", ["revoked", "source revoked"])
def test_a_dead_token_is_challenged_as_invalid(world: World, end: str) -> None:
    own = world.token(world.alice, "api")
    token = own.secret
    if end == "source revoked":
        token = exchanged(world.service, **of_token(own.secret))
    tokens.revoke(world.store, COMMAND_LINE, own.record.id)
    answer = get(world, token)
    assert answer.status_code == 401
    assert challenge(answer)["error"] == answer.get_json()["error"] == "invalid_token"
    assert "resource_metadata" in challenge(answer)


@pytest.mark.rfc6750("3.1")
def test_a_token_that_is_too_narrow_learns_which_scopes_are_wide_enough(world: World) -> None:
    token = world.token(world.root, "read_registry", "sudo").secret
    answer = get(world, token)
    assert answer.status_code == 403
    assert challenge(answer)["error"] == "insufficient_scope"
    assert challenge(answer)["scope"] == "read_user api read_api"
    assert "resource_metadata" in challenge(answer)


@pytest.mark.rfc6750("3")
def test_a_refusal_that_no_other_token_would_change_is_no_challenge(world: World) -> None:
    user_states.block(world.store, COMMAND_LINE, world.alice.id)
    for answer in (get(world, world.alice_token.secret), get(world, path="/users")):
        assert answer.status_code == 403
        assert "WWW-Authenticate" not in answer.headers


@pytest.mark.rfc9728("5.1")
def test_the_endpoints_of_the_server_are_no_part_of_the_resource(world: World) -> None:
    headers = {"Authorization": "Bearer nonsense"}
    answer = world.service.revoke(world.alice_token.secret, headers)
    assert challenge(answer)["error"] == "invalid_token"
    assert "resource_metadata" not in challenge(answer)
