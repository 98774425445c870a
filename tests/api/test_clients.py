"""`/tokensrv/clients`: the internal services, as admins make and change them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import Api
from tests.factories import make_client, make_token
from tests.keys import key_for, public
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.domain.secret import digest
from tokensrv.lookup import build
from tokensrv.services.records import EventRecord, UserRecord

PATH = "/tokensrv/clients"
MEMBERS = [
    "client_id",
    "name",
    "description",
    "disabled",
    "auth_methods",
    "scopes",
    "allow",
    "created_at",
    "jwks",
    "introspection_signed_response_alg",
]
SECRETS = ["client_secret_basic", "client_secret_post"]

Events = Callable[[str], list[EventRecord]]


@pytest.fixture
def client_id(store: Store) -> str:
    return make_client(store, "web").record.client_id


def test_a_new_client_may_introspect_and_no_more(admin: Api, store: Store, events: Events) -> None:
    answer = admin.post(PATH, json={"name": "web"})
    assert answer.status_code == 201
    made = answer.json
    assert list(made) == [*MEMBERS, "client_secret"]
    assert made | {"client_id": "", "client_secret": ""} == {
        "client_id": "",
        "name": "web",
        "description": "",
        "disabled": False,
        "auth_methods": SECRETS,
        "scopes": None,
        "allow": [],
        "created_at": "2026-03-10T12:00:00.000Z",
        "jwks": None,
        "introspection_signed_response_alg": "RS256",
        "client_secret": "",
    }
    facts = build(store).find(client_id=made["client_id"]).client
    assert facts is not None
    assert facts.secret_digests == (digest(made["client_secret"]),)
    (event,) = events("client.created")
    assert (event.actor, event.client_id) == ("root", made["client_id"])


def test_everything_of_a_client_can_be_said(admin: Api) -> None:
    wanted = {
        "name": "web",
        "description": "The shop",
        "auth_methods": ["client_secret_post", "private_key_jwt"],
        "scopes": ["read_user", "api"],
        "allow": ["sudo", "batch"],
        "jwks": public(key_for("ES256"), key_for("RS256")),
        "introspection_signed_response_alg": "ES256",
    }
    made = admin.post(PATH, json=wanted).json
    assert {name: made[name] for name in wanted} == wanted
    assert made["client_secret"].startswith("tsc_")
    assert admin.get(f"{PATH}/{made['client_id']}").json == {name: made[name] for name in MEMBERS}


def test_a_client_with_keys_gets_no_secret(admin: Api) -> None:
    made = admin.post(PATH, json={"name": "web", "jwks": public(key_for("ES256"))}).json
    assert (made["client_secret"], made["auth_methods"]) == (None, ["private_key_jwt"])


def test_a_form_may_say_it_all_too(admin: Api) -> None:
    pem = key_for("ES256").as_pem(private=False).decode()
    form = {"name": "web", "allow[]": ["sudo", "revoke"], "scopes": "api,read_user", "jwks": pem}
    made = admin.post(PATH, data=form).json
    assert (made["allow"], made["scopes"]) == (["sudo", "revoke"], ["api", "read_user"])
    assert made["jwks"] == public(key_for("ES256"))
    text = {"name": "web", "jwks": json.dumps(public(key_for("ES256")))}
    assert admin.post(PATH, data=text).json["jwks"] == made["jwks"]


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        pytest.param({}, "name is missing", id="no name"),
        pytest.param({"name": " "}, "name is invalid", id="blank name"),
        pytest.param({"name": 7}, "name is invalid", id="name"),
        pytest.param({"name": "a", "description": None}, "description is invalid", id="null"),
        pytest.param({"name": "a", "allow": ["all"]}, "allow does not have a valid value", id="a"),
        pytest.param({"name": "a", "scopes": ["x"]}, "scopes does not have a valid value", id="s"),
        pytest.param(
            {"name": "a", "auth_methods": ["none"]},
            "auth_methods does not have a valid value",
            id="method",
        ),
        pytest.param({"name": "a", "auth_methods": []}, "auth_methods is empty", id="no method"),
        pytest.param(
            {"name": "a", "auth_methods": ["private_key_jwt"]}, "jwks is missing", id="no keys"
        ),
        pytest.param(
            {"name": "a", "introspection_signed_response_alg": "HS256"},
            "introspection_signed_response_alg does not have a valid value",
            id="algorithm",
        ),
        pytest.param(
            {"name": "a", "jwks": {"keys": []}},
            "jwks must be a JWK set of 1 to 10 public keys",
            id="no key in the set",
        ),
        pytest.param(
            {"name": "a", "jwks": [1]},
            "jwks must be a JWK set of 1 to 10 public keys",
            id="an array",
        ),
        pytest.param({"name": "a", "jwks": "x"}, "jwks is neither JSON nor PEM", id="a text"),
    ],
)
def test_what_makes_no_client_is_refused_by_name(
    admin: Api, wanted: dict[str, Any], problem: str
) -> None:
    answer = admin.post(PATH, json=wanted)
    assert (answer.status_code, answer.json) == (400, {"error": problem})
    assert admin.get(PATH).json == []


def test_a_private_key_is_refused_and_repeated_nowhere(admin: Api) -> None:
    key = key_for("ES256").as_dict(private=True)
    answer = admin.post(PATH, json={"name": "web", "jwks": {"keys": [key]}})
    assert answer.status_code == 400
    assert answer.json["error"].startswith("jwks holds a private or a shared key")
    assert key["d"] not in answer.text


def test_clients_are_listed_in_pages_without_a_secret(admin: Api, store: Store) -> None:
    made = [make_client(store, f"client {number}").record.client_id for number in range(3)]
    answer = admin.get(f"{PATH}?per_page=2")
    assert [client["client_id"] for client in answer.json] == made[:2]
    assert [list(client) for client in answer.json] == [MEMBERS, MEMBERS]
    assert (answer.headers["X-Total"], answer.headers["X-Next-Page"]) == ("3", "2")
    assert f"{PATH}?" in answer.headers["Link"]


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_change_leaves_what_was_not_given(
    admin: Api, client_id: str, method: str, events: Events
) -> None:
    before = admin.get(f"{PATH}/{client_id}").json
    answer = admin.call(method, f"{PATH}/{client_id}", json={"allow": ["sudo"], "scopes": []})
    assert (answer.status_code, answer.json) == (200, before | {"allow": ["sudo"], "scopes": []})
    back = admin.call(method, f"{PATH}/{client_id}", json={"allow": [], "scopes": None})
    assert back.json == before
    assert [event.data["changed"] for event in events("client.changed")] == [
        {"allow": ["sudo"], "scopes": []},
        {"allow": [], "scopes": None},
    ]


def test_what_cannot_be_changed_is_ignored(admin: Api, client_id: str) -> None:
    before = admin.get(f"{PATH}/{client_id}").json
    forged = {"client_id": "mine", "client_secret": "mine", "secret_digest": "x", "disabled": True}
    assert admin.call("PATCH", f"{PATH}/{client_id}", json=forged).json == before


def test_a_new_secret_is_shown_once_and_the_old_one_stays_good(
    admin: Api, store: Store, client_id: str
) -> None:
    answer = admin.post(f"{PATH}/{client_id}/rotate_secret")
    assert (answer.status_code, list(answer.json)) == (200, [*MEMBERS, "client_secret"])
    facts = build(store).find(client_id=client_id).client
    assert facts is not None
    assert facts.secret_digests[0] == digest(answer.json["client_secret"])
    assert len(facts.secret_digests) == 2
    assert "client_secret" not in admin.get(f"{PATH}/{client_id}").json


def test_a_client_with_keys_alone_has_no_secret_to_rotate(admin: Api) -> None:
    made = admin.post(PATH, json={"name": "web", "jwks": public(key_for("ES256"))}).json
    answer = admin.post(f"{PATH}/{made['client_id']}/rotate_secret")
    assert answer.status_code == 400
    assert answer.json == {"error": "auth_methods of this client use no secret"}


def test_a_client_is_disabled_and_enabled(admin: Api, client_id: str, events: Events) -> None:
    for _ in range(2):
        answer = admin.post(f"{PATH}/{client_id}/disable")
        assert (answer.status_code, answer.json["disabled"]) == (200, True)
    assert admin.post(f"{PATH}/{client_id}/enable").json["disabled"] is False
    assert len(events("client.disabled")) == len(events("client.enabled")) == 1


def test_a_deleted_client_is_gone(admin: Api, client_id: str, events: Events) -> None:
    answer = admin.call("DELETE", f"{PATH}/{client_id}")
    assert (answer.status_code, answer.data) == (204, b"")
    gone = admin.get(f"{PATH}/{client_id}")
    assert (gone.status_code, gone.json) == (404, {"message": "404 Client Not Found"})
    assert [event.client_id for event in events("client.deleted")] == [client_id]


@pytest.mark.parametrize(
    ("method", "suffix"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("POST", "/rotate_secret"),
        ("POST", "/disable"),
        ("POST", "/enable"),
    ],
)
@pytest.mark.parametrize("unknown", ["nobody", "1", "%00", "%ff", "x" * 500, "%25"])
def test_an_unknown_client_is_not_found(admin: Api, method: str, suffix: str, unknown: str) -> None:
    answer = admin.call(method, f"{PATH}/{unknown}{suffix}", json={})
    assert (answer.status_code, answer.json) == (404, {"message": "404 Client Not Found"})


@pytest.mark.parametrize(
    ("method", "suffix", "body"),
    [
        pytest.param("POST", "", {"name": "web"}, id="create"),
        pytest.param("PATCH", "/ID", {"jwks": public(key_for("ES256"))}, id="change"),
        pytest.param("PUT", "/ID", {"allow": ["sudo"]}, id="update"),
        pytest.param("POST", "/ID/rotate_secret", None, id="rotate"),
    ],
)
def test_an_impersonation_token_makes_no_credential_of_a_client(
    anonymous: Api,
    store: Store,
    root: UserRecord,
    client_id: str,
    method: str,
    suffix: str,
    body: dict[str, Any] | None,
) -> None:
    before = build(store).find(client_id=client_id).client
    impersonating = make_token(store, root, kind=TokenKind.IMPERSONATION).secret
    path = PATH + suffix.replace("ID", client_id)
    answer = anonymous.holding(impersonating).call(method, path, json=body)
    assert (answer.status_code, answer.json) == (403, {"message": "403 Forbidden"})
    assert build(store).find(client_id=client_id).client == before
