"""RFC 7517: the keys with which everybody can verify what was signed here."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.oauth.conftest import World
from tokensrv.db import Store
from tokensrv.errors import StorageUnavailable
from tokensrv.services.keys import signing_keys
from tokensrv.services.trail.events import COMMAND_LINE

PATH = "/oauth/jwks"


@pytest.mark.rfc7517("5")
def test_everybody_gets_the_keys_and_may_keep_them_a_while(world: World) -> None:
    kids = [key.kid for key in signing_keys.rotate(world.store, COMMAND_LINE, ("RS256", "ES256"))]
    answer = world.http.get(PATH)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/jwk-set+json"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert "Pragma" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    assert [key["kid"] for key in answer.get_json()["keys"]] == kids


def test_a_copy_may_be_kept_for_less_time_than_a_new_key_waits() -> None:
    assert signing_keys.LEAD.total_seconds() >= 2 * signing_keys.MAX_AGE_SECONDS


@pytest.mark.rfc7517("5")
def test_without_any_key_the_set_is_empty_and_none_is_made(world: World) -> None:
    assert world.http.get(PATH).get_json() == {"keys": []}
    assert signing_keys.list_keys(world.store) == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_they_are_only_read(client: FlaskClient, method: str) -> None:
    answer = client.open(PATH, method=method)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD"}


def test_a_refusal_is_not_kept_like_keys(
    client: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get(PATH).status_code == 200

    def away() -> None:
        raise StorageUnavailable

    monkeypatch.setattr(store, "read", away)
    answer = client.get(PATH)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "Cache-Control" not in answer.headers


@pytest.mark.rfc8414("2")
def test_the_metadata_says_where_they_are(client: FlaskClient) -> None:
    document = client.get("/.well-known/oauth-authorization-server").get_json()
    assert document["jwks_uri"] == document["issuer"] + PATH
