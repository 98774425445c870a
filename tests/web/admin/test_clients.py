"""Clients as an admin makes and changes them: a secret is seen once, a private key never."""

from __future__ import annotations

import base64
import itertools
import json
import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from werkzeug.test import TestResponse

from tests.conftest import ManualClock
from tests.factories import make_client, make_token
from tests.keys import key_for, public
from tests.services.conftest import contents, events_of
from tests.web.conftest import Visitor
from tokensrv.db import Store
from tokensrv.services.account.sessions import FRESH
from tokensrv.services.directory import clients
from tokensrv.services.directory.client_values import ALLOWABLE, AUTH_METHODS, ClientValues
from tokensrv.services.keys.client_keys import thumbprints
from tokensrv.services.trail.events import COMMAND_LINE
from tokensrv.web.access import PAGES
from tokensrv.web.admin.clients import values

LIST = "/admin/clients"
SECRET = re.compile(r"tsc_[0-9A-Za-z]{36}")
FORM = {
    "name": "registry",
    "description": "Ask the platform team.",
    "allow": ["exchange", "batch"],
    "sees": "limited",
    "scopes": ["read_registry", "write_registry"],
    "auth_methods": ["client_secret_basic"],
    "introspection_signed_response_alg": "ES256",
}
# What is wrong, beside which field it is said, and a part of how.
REFUSED: list[tuple[dict[str, object], str, str]] = [
    ({"name": " "}, "name", "not valid"),
    ({"auth_methods": []}, "auth_methods", "At least one way is required."),
    ({"auth_methods": ["private_key_jwt"]}, "jwks", "required"),
    ({"jwks": "{"}, "jwks", "neither JSON nor PEM"),
    ({"allow": ["everything"]}, "allow", "valid value"),
    ({"scopes": ["nothing"]}, "scopes", "valid value"),
]


def _secret(answer: TestResponse) -> str:
    """Return the secret that a page shows in its field and in the line to paste."""
    (shown,) = set(SECRET.findall(answer.text))
    assert f'readonly value="{shown}" autocomplete="off" spellcheck="false" data-secret>' in (
        answer.text
    )
    assert answer.headers["Cache-Control"] == "no-store"
    return shown


def _introspects(visitor: Visitor, store: Store, client_id: str, secret: str) -> bool:
    """Return whether a client is let in with this secret."""
    basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    assert visitor.user is not None
    token = make_token(store, visitor.user).secret
    answer = visitor.http.post(
        "/oauth/introspect", data={"token": token}, headers={"Authorization": f"Basic {basic}"}
    )
    return answer.status_code == 200 and answer.get_json()["active"] is True


def _client_with_a_key(store: Store) -> str:
    """Return a client that acts for others and has a key."""
    new = make_client(store, "gateway", allow=("sudo",), jwks=public(key_for("ES256")))
    return new.record.client_id


def test_what_can_be_ticked_is_what_there_is() -> None:
    assert tuple(value for value, _, _ in values.ALLOW) == ALLOWABLE
    assert tuple(value for value, _, _ in values.AUTH_METHODS) == AUTH_METHODS


def test_without_any_client_the_list_says_what_to_do(root: Visitor) -> None:
    page = root.text(LIST)
    assert "No clients" in page
    assert page.count(f'href="{LIST}/new"') == 2


def test_a_new_client_shows_its_secret_once_and_works(root: Visitor, store: Store) -> None:
    form = root.text(f"{LIST}/new?name=registry")
    assert 'value="registry"' in form
    assert re.findall(r'value="(client_secret_\w+)" checked', form) == [
        "client_secret_basic",
        "client_secret_post",
    ]
    answer = root.post(f"{LIST}/new", **FORM)
    assert answer.status_code == 201
    secret = _secret(answer)
    (client,) = clients.list_clients(store)
    assert (client.name, client.description) == ("registry", "Ask the platform team.")
    assert (client.allow, client.scopes) == (
        ("exchange", "batch"),
        ("read_registry", "write_registry"),
    )
    assert client.auth_methods == ("client_secret_basic",)
    assert client.introspection_signed_response_alg == "ES256"
    assert f"--user {client.client_id}:{secret}" in answer.text
    assert _introspects(root, store, client.client_id, secret)
    path = f"{LIST}/{client.client_id}"
    for page in (LIST, path, f"{path}/edit", f"{path}/rotate_secret", f"{LIST}/new"):
        assert secret not in root.text(page)
    assert secret not in str(contents(store))


def test_a_form_that_is_sent_twice_makes_one_client(root: Visitor, store: Store) -> None:
    found = re.search(r'name="submission" value="([^"]+)"', root.text(f"{LIST}/new"))
    assert found is not None
    refused = root.post(f"{LIST}/new", **FORM | {"name": ""}, submission=found[1])
    assert refused.status_code == 422
    assert f'name="submission" value="{found[1]}"' in refused.text
    assert root.post(f"{LIST}/new", **FORM, submission=found[1]).status_code == 201
    again = root.post(f"{LIST}/new", **FORM, submission=found[1])
    assert again.location == LIST
    assert SECRET.search(again.text) is None
    assert "The form was sent twice: one client was made." in root.text(LIST)
    assert len(clients.list_clients(store)) == 1


def test_what_is_refused_is_said_beside_its_field_and_nothing_is_lost(
    root: Visitor, store: Store
) -> None:
    for changed, field, sentence in REFUSED:
        answer = root.post(f"{LIST}/new", **FORM | changed)
        assert answer.status_code == 422
        error = re.search(rf'id="{field}-error" role="alert">([^<]+)<', answer.text)
        assert error is not None, field
        assert sentence in error[1]
        assert 'value="Ask the platform team."' in answer.text
    assert clients.list_clients(store) == []


def test_a_private_key_does_not_come_back(root: Visitor, store: Store) -> None:
    private = json.dumps(key_for("ES256").as_dict(private=True))
    edit = f"{LIST}/{_client_with_a_key(store)}/edit"
    # Nor when something else is refused before it.
    for path, name in itertools.product((f"{LIST}/new", edit), ("registry", "")):
        answer = root.post(path, **FORM | {"name": name}, jwks=private)
        assert answer.status_code == 422
        assert 'id="jwks-error" role="alert">This holds a private' in answer.text
        assert json.loads(private)["d"] not in answer.text
    assert len(clients.list_clients(store)) == 1


def test_a_client_with_keys_alone_has_no_secret(root: Visitor, store: Store) -> None:
    keys = public(key_for("ES256"), key_for("RS256"))
    form = FORM | {"auth_methods": ["private_key_jwt"], "jwks": json.dumps(keys)}
    answer = root.post(f"{LIST}/new", **form)
    (client,) = clients.list_clients(store)
    assert answer.location == f"{LIST}/{client.client_id}"
    page = root.text(answer.location)
    for thumbprint in thumbprints(client.jwks):
        assert thumbprint in page
    assert "Rotate secret" not in page
    assert root.post(f"{answer.location}/rotate_secret").status_code == 400


def test_a_client_is_edited_as_it_is(root: Visitor, store: Store) -> None:
    client_id = _client_with_a_key(store)
    path = f"{LIST}/{client_id}/edit"
    page = root.text(path)
    assert 'value="gateway"' in page
    assert re.findall(r'value="(\w+)" checked', page) == ["sudo", "private_key_jwt"]
    assert "&#34;kty&#34;" in page
    form = FORM | {"sees": "", "allow": [], "jwks": ""}
    assert root.post(path, **form).location == f"{LIST}/{client_id}"
    assert "The client was changed." in root.text(f"{LIST}/{client_id}")
    changed = clients.get(store, client_id)
    assert (changed.name, changed.scopes, changed.allow, changed.jwks) == (
        "registry",
        None,
        (),
        None,
    )
    refused = root.post(path, **form | {"name": "x" * 256})
    assert (refused.status_code, clients.get(store, client_id).name) == (422, "registry")


def test_a_form_from_before_a_change_takes_nothing_back_unless_it_is_sent_again(
    root: Visitor, store: Store, clock: ManualClock
) -> None:
    client_id = _client_with_a_key(store)
    path, seen = f"{LIST}/{client_id}/edit", re.compile(r'name="seen" value="(\d+)"')
    before = seen.findall(root.text(path))[0]
    clock.advance(seconds=1)
    clients.change(store, COMMAND_LINE, client_id, ClientValues(allow=()))
    old = FORM | {"allow": ["sudo"], "seen": before}
    # Nor does it get newer when it comes back after a sign-in in between.
    assert seen.findall(root.text(f"{path}?name=x&seen={before}")) == [before]
    stale = root.post(path, **old)
    assert stale.status_code == 409
    assert "Somebody changed this client since you opened this form" in stale.text
    assert 'value="Ask the platform team."' in stale.text
    assert root.post(path, **old | {"seen": "9" * 18}).status_code == 409
    assert clients.get(store, client_id).allow == ()
    assert root.post(path, **old | {"seen": seen.findall(stale.text)[0]}).status_code == 303
    assert clients.get(store, client_id).allow == ("sudo",)


def test_a_rotated_secret_is_shown_once_and_the_one_before_is_kept_until_the_next(
    root: Visitor, store: Store
) -> None:
    first = make_client(store)
    path = f"{LIST}/{first.record.client_id}/rotate_secret"
    assert "stays valid until you rotate again" in root.text(path)
    assert first.secret is not None
    secrets = [first.secret, _secret(root.post(path))]
    works = [_introspects(root, store, first.record.client_id, one) for one in secrets]
    assert works == [True, True]
    secrets.append(_secret(root.post(path)))
    works = [_introspects(root, store, first.record.client_id, one) for one in secrets]
    assert works == [False, True, True]


def test_a_rotation_that_is_sent_twice_leaves_the_secret_in_use_alone(
    root: Visitor, store: Store
) -> None:
    new = make_client(store)
    path = f"{LIST}/{new.record.client_id}"
    found = re.search(r'name="submission" value="([^"]+)"', root.text(f"{path}/rotate_secret"))
    assert found is not None
    _secret(root.post(f"{path}/rotate_secret", submission=found[1]))
    assert root.post(f"{path}/rotate_secret", submission=found[1]).location == path
    assert "the secret was rotated once" in root.text(path)
    assert _introspects(root, store, new.record.client_id, new.secret or "")
    assert len(events_of(store, "client.secret_rotated")) == 1


def test_a_client_is_disabled_enabled_and_deleted_after_a_question(
    root: Visitor, store: Store
) -> None:
    new = make_client(store)
    path, secret = f"{LIST}/{new.record.client_id}", new.secret or ""
    for verb, question, is_let_in in (
        ("disable", "Disable this client?", False),
        ("enable", "Enable this client?", True),
        ("delete", "Delete this client for good?", False),
    ):
        assert question in root.text(f"{path}/{verb}")
        answer = root.post(f"{path}/{verb}")
        assert answer.location == (LIST if verb == "delete" else path)
        assert _introspects(root, store, new.record.client_id, secret) is is_let_in
    done = [row.action for row in events_of(store) if row.actor == "root"]
    assert done == ["client.disabled", "client.enabled", "client.deleted"]
    for page in (path, f"{path}/edit", f"{path}/rotate_secret", f"{path}/disable"):
        assert root.get(page).status_code == 404


def test_a_proof_that_is_too_old_is_asked_for_and_the_form_is_kept_but_for_keys(
    root: Visitor, store: Store, clock: ManualClock
) -> None:
    clock.advance(seconds=FRESH.total_seconds())
    answer = root.post(f"{LIST}/new", **FORM, jwks="a secret key")
    way = urlsplit(answer.location)
    assert way.path == "/users/confirm"
    back = urlsplit(parse_qs(way.query)["next"][0])
    assert back.path == f"{LIST}/new"
    kept = parse_qs(back.query)
    assert kept == {
        name: value if isinstance(value, list) else [value] for name, value in FORM.items()
    }
    assert clients.list_clients(store) == []
    assert not any("jwks" in page.keeps for page in PAGES.values())
    clock.advance(seconds=-timedelta(minutes=5).total_seconds())
    assert 'value="registry"' in root.text(f"{back.path}?{back.query}")


def test_what_people_chose_is_inert(root: Visitor, store: Store) -> None:
    hostile = '"><script>alert(1)</script>'
    client_id = make_client(store, hostile, description=hostile).record.client_id
    path = f"{LIST}/{client_id}"
    for page in (LIST, path, f"{path}/edit", f"{path}/delete", f"{path}/rotate_secret"):
        assert "<script>alert" not in root.text(page)
        assert "&lt;script&gt;alert" in root.text(page)
