from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import START
from tests.factories import make_client, make_token, make_user, origin_of
from tests.keys import key_for, public
from tests.services.conftest import contents, events_of
from tokensrv import lookup
from tokensrv.db import Store
from tokensrv.domain.facts import ClientFacts, TokenKind
from tokensrv.domain.secret import digest
from tokensrv.errors import Forbidden, Invalid, NotFound
from tokensrv.services.directory import clients
from tokensrv.services.directory.client_values import ClientValues
from tokensrv.services.lifecycle import tokens
from tokensrv.services.pages import PageRequest
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE


def _facts(store: Store, client_id: str) -> ClientFacts:
    found = lookup.build(store).find(client_id=client_id).client
    assert found is not None
    return found


def test_a_new_client_may_introspect_and_no_more(store: Store) -> None:
    new = make_client(store)
    facts = _facts(store, new.record.client_id)
    assert (facts.allow, facts.scopes, facts.is_disabled) == ((), None, False)
    assert facts.secret_digests == (digest(new.secret),)
    assert new.secret.startswith("tsc_")
    assert new.record.auth_methods == ("client_secret_basic", "client_secret_post")
    assert new.record.created_at == START


def test_its_secret_is_neither_stored_nor_told(store: Store) -> None:
    new = make_client(store)
    assert new.secret not in str(contents(store))
    assert new.secret not in repr(new)
    (row,) = events_of(store)
    assert (row.action, row.client_id) == ("client.created", new.record.client_id)
    assert row.data == {
        "name": "service",
        "description": "",
        "auth_methods": ["client_secret_basic", "client_secret_post"],
        "scopes": None,
        "allow": [],
        "jwks": [],
        "introspection_signed_response_alg": "RS256",
        "via": "cli",
    }


def test_a_limit_of_no_scopes_is_not_the_same_as_no_limit(store: Store) -> None:
    limited = make_client(store, scopes=()).record
    assert _facts(store, limited.client_id).scopes == ()
    assert clients.get(store, limited.client_id).scopes == ()


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        pytest.param({"name": ""}, "name", id="no name"),
        pytest.param({"name": "x" * 256}, "name", id="long name"),
        pytest.param({"name": "\0"}, "name", id="NUL"),
        pytest.param({"description": "x" * 256}, "description", id="long description"),
        pytest.param({"allow": ("everything",)}, "allow", id="unknown permission"),
        pytest.param({"scopes": ("nope",)}, "scopes", id="unknown scope"),
        pytest.param({"auth_methods": ("none",)}, "auth_methods", id="unknown method"),
        pytest.param({"auth_methods": ()}, "auth_methods", id="no method"),
        pytest.param({"auth_methods": ("private_key_jwt",)}, "jwks", id="no keys"),
        pytest.param({"jwks": {"keys": []}}, "jwks", id="an empty set of keys"),
        pytest.param(
            {"introspection_signed_response_alg": "none"},
            "introspection_signed_response_alg",
            id="unknown algorithm",
        ),
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(
    store: Store, wanted: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        make_client(store, **wanted)
    assert refused.value.field == field
    assert clients.list_clients(store) == []
    client_id = make_client(store).record.client_id
    before = contents(store)
    with pytest.raises(Invalid) as refused:
        clients.change(store, COMMAND_LINE, client_id, ClientValues(**wanted))
    assert refused.value.field == field
    assert contents(store) == before


def test_a_client_needs_a_name(store: Store) -> None:
    with pytest.raises(Invalid, match="name is missing"):
        clients.create(store, COMMAND_LINE, ClientValues())


def test_a_client_with_keys_uses_them_alone_and_gets_no_secret(store: Store) -> None:
    new = make_client(store, jwks=public(key_for("ES256")))
    assert new.secret is None
    assert new.record.auth_methods == ("private_key_jwt",)
    facts = _facts(store, new.record.client_id)
    assert (facts.secret_digests, facts.auth_methods) == ((), ("private_key_jwt",))
    assert json.loads(facts.jwks or "") == new.record.jwks == public(key_for("ES256"))
    with pytest.raises(Invalid, match="use no secret"):
        clients.rotate_secret(store, COMMAND_LINE, new.record.client_id)


def test_a_client_may_have_both_while_it_goes_from_a_secret_to_keys(store: Store) -> None:
    methods = ("client_secret_post", "private_key_jwt")
    new = make_client(store, jwks=public(key_for("ES256")), auth_methods=methods)
    assert new.secret is not None
    clients.rotate_secret(store, COMMAND_LINE, new.record.client_id)
    client_id = new.record.client_id
    only_keys = ClientValues(auth_methods=("private_key_jwt",))
    clients.change(store, COMMAND_LINE, client_id, only_keys)
    clients.change(store, COMMAND_LINE, client_id, ClientValues(auth_methods=methods))
    assert _facts(store, client_id).secret_digests == ()


def test_the_log_tells_which_keys_and_no_whole_ones(store: Store) -> None:
    key = key_for("ES256")
    new = make_client(store, jwks=public(key))
    clients.change(
        store, COMMAND_LINE, new.record.client_id, ClientValues(jwks=public(key_for("ES256", 1)))
    )
    created, changed = events_of(store)
    assert created.data["jwks"] == [key.thumbprint()]
    assert changed.data["changed"] == {"jwks": [key_for("ES256", 1).thumbprint()]}


def test_a_client_is_changed_in_what_was_given_and_in_nothing_else(store: Store) -> None:
    before = make_client(store, allow=("batch",), scopes=("api",)).record
    values = ClientValues(name="new", description="why", scopes=None, allow=())
    after = clients.change(store, COMMAND_LINE, before.client_id, values)
    changed = {"name": "new", "description": "why", "scopes": None, "allow": ()}
    assert after == replace(before, **changed)
    assert clients.get(store, before.client_id) == after
    (row,) = events_of(store)[1:]
    assert (row.action, row.client_id) == ("client.changed", before.client_id)
    assert row.data["changed"] == changed | {"allow": []}


def test_a_change_that_changes_nothing_is_no_event(store: Store) -> None:
    client = make_client(store).record
    clients.change(store, COMMAND_LINE, client.client_id, ClientValues(name=client.name))
    assert [row.action for row in events_of(store)] == ["client.created"]


def test_keys_cannot_be_taken_from_a_client_that_needs_them(store: Store) -> None:
    client_id = make_client(store, jwks=public(key_for("ES256"))).record.client_id
    with pytest.raises(Invalid, match="jwks is missing"):
        clients.change(store, COMMAND_LINE, client_id, ClientValues(jwks=None))
    back = ClientValues(jwks=None, auth_methods=("client_secret_basic",))
    assert clients.change(store, COMMAND_LINE, client_id, back).jwks is None
    assert clients.rotate_secret(store, COMMAND_LINE, client_id).secret is not None


def test_a_deleted_client_is_gone_and_its_tokens_are_nobodys(
    store: Store, root: UserRecord
) -> None:
    client_id = make_client(store).record.client_id
    token = make_token(store, root, audience=(client_id,)).record
    clients.delete(store, COMMAND_LINE, client_id)
    assert lookup.build(store).find(client_id=client_id).client is None
    assert tokens.get(store, None, token.id).audience == (client_id,)
    last = events_of(store)[-1]
    assert (last.action, last.client_id, last.data["name"]) == (
        "client.deleted",
        client_id,
        "service",
    )


def test_clients_come_in_pages(store: Store) -> None:
    made = [make_client(store, f"client {number}").record for number in range(3)]
    page = clients.list_page(store, PageRequest(2, 2))
    assert (page.items, page.total, page.has_next) == ((made[2],), 3, False)


def test_after_a_rotation_the_last_two_secrets_are_good(store: Store) -> None:
    first = make_client(store)
    client_id = first.record.client_id
    second = clients.rotate_secret(store, COMMAND_LINE, client_id)
    assert _facts(store, client_id).secret_digests == (digest(second.secret), digest(first.secret))
    third = clients.rotate_secret(store, COMMAND_LINE, client_id)
    assert _facts(store, client_id).secret_digests == (digest(third.secret), digest(second.secret))
    assert [row.action for row in events_of(store)][1:] == ["client.secret_rotated"] * 2


def test_a_client_is_disabled_and_enabled_once_each(store: Store) -> None:
    client_id = make_client(store).record.client_id
    assert clients.disable(store, COMMAND_LINE, client_id)
    assert _facts(store, client_id).is_disabled
    assert not clients.disable(store, COMMAND_LINE, client_id)
    assert clients.get(store, client_id).is_disabled
    assert clients.enable(store, COMMAND_LINE, client_id)
    assert not clients.enable(store, COMMAND_LINE, client_id)
    assert not _facts(store, client_id).is_disabled
    actions = [row.action for row in events_of(store)]
    assert actions == ["client.created", "client.disabled", "client.enabled"]


def test_clients_are_listed_the_oldest_first(store: Store) -> None:
    made = [make_client(store, name).record for name in ("zeta", "alpha")]
    assert clients.list_clients(store) == made


VERBS: dict[str, Callable[..., Any]] = {
    "create": lambda store, origin, _: clients.create(store, origin, ClientValues(name="new")),
    "change": lambda store, origin, client_id: clients.change(
        store, origin, client_id, ClientValues(name="new")
    ),
    "delete": clients.delete,
    "rotate_secret": clients.rotate_secret,
    "disable": clients.disable,
    "enable": clients.enable,
}


@pytest.mark.parametrize("verb", list(VERBS))
def test_a_user_changes_no_client(store: Store, root: UserRecord, verb: str) -> None:
    client_id = make_client(store).record.client_id
    alice = origin_of(store, make_token(store, make_user(store)).secret)
    before = contents(store)
    with pytest.raises(Forbidden):
        VERBS[verb](store, alice, client_id)
    assert contents(store) == before


@pytest.mark.parametrize("verb", ["create", "change", "rotate_secret"])
def test_neither_sudo_nor_impersonation_makes_a_credential_of_a_client(
    store: Store, root: UserRecord, verb: str
) -> None:
    make_user(store)
    client_id = make_client(store).record.client_id
    sudo = origin_of(store, make_token(store, root, ("api", "sudo")).secret, sudo="alice")
    impersonating = make_token(store, root, kind=TokenKind.IMPERSONATION).secret
    for origin in (sudo, origin_of(store, impersonating)):
        with pytest.raises(Forbidden):
            VERBS[verb](store, origin, client_id)


@pytest.mark.parametrize("verb", sorted(VERBS.keys() - {"create"}))
def test_an_unknown_client_is_not_found(store: Store, verb: str) -> None:
    for nobody in ("nobody", "", "\0", "x" * 1000):
        with pytest.raises(NotFound):
            VERBS[verb](store, COMMAND_LINE, nobody)
    with pytest.raises(NotFound):
        clients.get(store, "nobody")
