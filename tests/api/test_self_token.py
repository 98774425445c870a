"""The presented token itself."""

from __future__ import annotations

from datetime import date

import pytest

from tests.api.conftest import Api
from tests.conftest import ManualClock
from tests.factories import make_client, make_token
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.domain.scopes import BUILT_IN
from tokensrv.services.records import UserRecord

SELF = "/personal_access_tokens/self"


@pytest.mark.parametrize("scope", BUILT_IN)
def test_opens_to_every_scope(anonymous: Api, store: Store, root: UserRecord, scope: str) -> None:
    token = make_token(store, root, (scope,))
    holder = anonymous.holding(token.secret)
    assert holder.get(SELF).json["id"] == token.record.id
    assert holder.get(f"{SELF}/associations").json == {"groups": [], "projects": []}
    assert holder.delete(SELF).status_code == 204


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_is_401_without_a_good_token(
    anonymous: Api, store: Store, alice: UserRecord, clock: ManualClock, method: str
) -> None:
    expired = make_token(store, alice, expires_on=date(2026, 3, 11))
    clock.advance(seconds=12 * 3600)
    assert anonymous.call(method, SELF).json == {"message": "401 Unauthorized"}
    answer = anonymous.holding(expired.secret).call(method, SELF)
    assert answer.status_code == 401
    assert answer.json["error_description"].startswith("Token is expired.")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_works_as_head(user: Api) -> None:
    answer = user.call("HEAD", SELF)
    assert (answer.status_code, answer.data) == (200, b"")


def test_revokes_itself_once(user: Api) -> None:
    assert user.delete(SELF).status_code == 204
    answer = user.delete(SELF)
    assert answer.status_code == 401
    assert answer.json["error_description"].startswith("Token was revoked.")


def test_shows_but_never_revokes_or_rotates_an_impersonation_token(
    anonymous: Api, store: Store, alice: UserRecord
) -> None:
    token = make_token(store, alice, kind=TokenKind.IMPERSONATION)
    holder = anonymous.holding(token.secret)
    assert holder.get(SELF).json["impersonation"] is True
    answer = holder.delete(SELF)
    assert answer.status_code == 400
    assert answer.json == {"message": "400 Bad request - Not permitted to revoke"}
    answer = holder.post(f"{SELF}/rotate")
    assert (answer.status_code, answer.json) == (403, {"message": "403 Forbidden"})


def test_opens_to_a_token_that_is_meant_for_other_services(
    anonymous: Api, store: Store, alice: UserRecord
) -> None:
    audience = (make_client(store).record.client_id,)
    holder = anonymous.holding(make_token(store, alice, audience=audience).secret)
    assert holder.get(SELF).json["audience"] == list(audience)
    assert holder.get("/user").json["error"] == "insufficient_scope"
    assert holder.post(f"{SELF}/rotate").json["audience"] == list(audience)


@pytest.mark.parametrize("scope", ["api", "self_rotate"])
def test_rotates(anonymous: Api, store: Store, alice: UserRecord, scope: str) -> None:
    holder = anonymous.holding(make_token(store, alice, (scope,)).secret)
    answer = holder.post(f"{SELF}/rotate", json={"expires_at": "2026-04-01"})
    assert answer.status_code == 200
    assert answer.json["expires_at"] == "2026-04-01"
    assert holder.get(SELF).status_code == 401
    assert holder.holding(answer.json["token"]).get(SELF).json["scopes"] == [scope]


def test_does_not_rotate_with_other_scopes(anonymous: Api, store: Store, alice: UserRecord) -> None:
    holder = anonymous.holding(make_token(store, alice, ("read_api",)).secret)
    answer = holder.post(f"{SELF}/rotate")
    assert answer.status_code == 403
    assert answer.json == {
        "error": "insufficient_scope",
        "error_description": (
            "The request requires higher privileges than provided by the access token."
        ),
        "scope": "api self_rotate api read_api",
    }
    assert holder.get(SELF).status_code == 200


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("min_access_level=junk", "min_access_level is invalid"),
        ("min_access_level=7", "min_access_level does not have a valid value"),
        ("page=0", "page does not have a valid value"),
    ],
)
def test_associations_check_their_parameters(user: Api, query: str, error: str) -> None:
    answer = user.get(f"{SELF}/associations?{query}")
    assert (answer.status_code, answer.json) == (400, {"error": error})


def test_associations_have_the_headers_of_an_empty_page(user: Api) -> None:
    answer = user.get(f"{SELF}/associations?min_access_level=30")
    assert (answer.headers["X-Total"], answer.headers["X-Total-Pages"]) == ("0", "1")
