"""Tokens by their secret."""

from __future__ import annotations

import pytest

from tests.api.conftest import Api
from tests.factories import make_client, make_token
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.domain.secret import Kind, mint
from tokensrv.services.records import UserRecord

PATH = "/admin/token"


def test_shows_the_whole_record(admin: Api, store: Store, alice: UserRecord) -> None:
    token = make_token(store, alice, ("read_user",), name="lost", kind=TokenKind.IMPERSONATION)
    answer = admin.post(PATH, json={"token": token.secret})
    assert answer.status_code == 200
    assert answer.json == {
        "id": token.record.id,
        "user_id": alice.id,
        "name": "lost",
        "revoked": False,
        "expires_at": None,
        "created_at": "2026-03-10T12:00:00.000Z",
        "updated_at": "2026-03-10T12:00:00.000Z",
        "scopes": ["read_user"],
        "impersonation": True,
        "expire_notification_delivered": False,
        "last_used_at": None,
        "after_expiry_notification_delivered": False,
        "previous_personal_access_token_id": None,
        "advanced_scopes": None,
        "organization_id": 1,
    }


@pytest.mark.parametrize("kind", [TokenKind.PERSONAL, TokenKind.IMPERSONATION])
def test_revokes(admin: Api, store: Store, alice: UserRecord, kind: TokenKind) -> None:
    token = make_token(store, alice, kind=kind)
    answer = admin.delete(PATH, json={"token": token.secret})
    assert (answer.status_code, answer.data) == (204, b"")
    assert admin.holding(token.secret).get("/user").status_code == 401
    assert admin.post(PATH, json={"token": token.secret}).json["revoked"] is True


@pytest.mark.parametrize("method", ["POST", "DELETE"])
class TestEither:
    def test_is_404_for_an_unknown_one(self, admin: Api, method: str) -> None:
        answer = admin.call(method, PATH, json={"token": mint("ts", Kind.PERSONAL)})
        assert (answer.status_code, answer.json) == (404, {"message": "404 Not Found"})

    @pytest.mark.parametrize("secret", ["", "junk", "glpat-12345678901234567890", "tsp_é" * 9])
    def test_is_422_for_what_is_no_token(self, admin: Api, method: str, secret: str) -> None:
        answer = admin.call(method, PATH, json={"token": secret})
        assert (answer.status_code, answer.json) == (422, {"message": "422 Unprocessable Entity"})

    def test_is_422_for_a_clients_secret(self, admin: Api, store: Store, method: str) -> None:
        answer = admin.call(method, PATH, json={"token": make_client(store).secret})
        assert answer.status_code == 422

    def test_is_400_without_one(self, admin: Api, method: str) -> None:
        answer = admin.call(method, PATH)
        assert (answer.status_code, answer.json) == (400, {"error": "token is missing"})

    def test_is_closed_to_all_but_admins(self, anonymous: Api, user: Api, method: str) -> None:
        assert anonymous.call(method, PATH).status_code == 401
        answer = user.call(method, PATH, json={"token": user.secret})
        assert (answer.status_code, answer.json) == (403, {"message": "403 Forbidden"})


def test_is_400_for_an_impersonation_token_that_revokes_itself(
    anonymous: Api, store: Store, root: UserRecord
) -> None:
    own = make_token(store, root, kind=TokenKind.IMPERSONATION)
    answer = anonymous.holding(own.secret).delete(PATH, json={"token": own.secret})
    assert answer.status_code == 400
    assert answer.json == {"message": "400 Bad request - Not permitted to revoke"}
