"""RFC 8414, and what secret scanners are told."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from flask.testing import FlaskClient

from tests.oauth.conftest import World
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain import secret
from tokensrv.oauth.metadata import describe
from tokensrv.services.keys.client_keys import ALGORITHMS

PATH = "/.well-known/oauth-authorization-server"


@pytest.fixture
def external_url(store: Store, monkeypatch: pytest.MonkeyPatch) -> str:
    url = "https://tokens.example.org/base/path"
    monkeypatch.setattr(store, "settings", replace(store.settings, external_url=url))
    return url


@pytest.mark.rfc8414("2")
def test_the_document_is_what_authlib_holds_for_valid(
    client: FlaskClient, external_url: str
) -> None:
    AuthorizationServerMetadata(client.get(PATH).get_json()).validate()


@pytest.mark.rfc8414("3.2")
def test_the_document_names_what_there_is(client: FlaskClient, external_url: str) -> None:
    answer = client.get(PATH)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    document = answer.get_json()
    assert "sudo" in document.pop("scopes_supported")
    asserted = list(ALGORITHMS)
    methods = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
    assert document == {
        "issuer": external_url,
        "response_types_supported": ["none"],
        "grant_types_supported": ["urn:ietf:params:oauth:grant-type:token-exchange"],
        "protected_resources": [external_url],
        "jwks_uri": f"{external_url}/oauth/jwks",
        "token_endpoint": f"{external_url}/oauth/token",
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": asserted,
        "introspection_endpoint": f"{external_url}/oauth/introspect",
        "introspection_endpoint_auth_methods_supported": [*methods, "Bearer"],
        "introspection_endpoint_auth_signing_alg_values_supported": asserted,
        "introspection_signing_alg_values_supported": ["RS256", "ES256", "Ed25519"],
        "revocation_endpoint": f"{external_url}/oauth/revoke",
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": asserted,
    }


def test_the_deployments_own_scopes_are_named() -> None:
    settings = Settings(extra_scopes=("deploy", "billing:read"))
    assert describe(settings)["scopes_supported"][-2:] == ["deploy", "billing:read"]


@pytest.mark.rfc8414("3.3")
def test_the_issuer_is_the_external_url_and_never_the_host_header(
    client: FlaskClient, external_url: str
) -> None:
    answer = client.get(PATH, headers={"Host": "evil.example"})
    assert answer.get_json()["issuer"] == external_url


@pytest.mark.rfc8414("3.1")
@pytest.mark.parametrize(
    ("suffix", "status"),
    [("/base/path", 200), ("/base", 404), ("/base/path/more", 404), ("/other", 404)],
)
def test_an_issuer_with_a_path_is_found_where_that_comes_last(
    client: FlaskClient, external_url: str, suffix: str, status: int
) -> None:
    assert client.get(PATH + suffix).status_code == status


def test_an_issuer_without_a_path_has_one_place(client: FlaskClient) -> None:
    assert client.get(PATH).status_code == 200
    assert client.get(f"{PATH}/base").status_code == 404


def test_the_published_rule_recognises_our_secrets_and_no_others(world: World) -> None:
    rule = world.http.get("/.well-known/tokensrv-secrets").get_json()
    checksum = rule["checksum"]

    def is_ours(text: str) -> bool:
        # Written from the document alone, as a scanner would.
        body, tail = text[: -checksum["length"]], text[-checksum["length"] :]
        number = 0
        for letter in tail:
            number = number * 62 + checksum["alphabet"].index(letter)
        return bool(re.fullmatch(rule["regex"], text)) and number == crc32(body.encode())

    for ours in (world.alice_token.secret, world.admin_token.secret, world.service.secret):
        assert is_ours(ours)
        assert not is_ours(ours[:-1] + ("0" if ours[-1] != "0" else "1"))
    for kind in secret.Kind:
        assert is_ours(secret.mint(rule["prefix"], kind))
        assert kind.value in rule["kinds"]


def crc32(data: bytes) -> int:
    """Return the CRC-32 of IEEE 802.3, bit by bit, independent of the library that is used."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xEDB88320 if register & 1 else 0)
    return register ^ 0xFFFFFFFF
