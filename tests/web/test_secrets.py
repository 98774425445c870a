"""What a page shows once, and what people type into pages, is found nowhere afterwards.

Not on any page, not in a cookie or an address, not in the database, the events or the log.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.factories import make_admin, make_user
from tests.services.conftest import contents
from tests.web.conftest import SESSION, Visitor
from tokensrv.db import Store
from tokensrv.http.logs import JsonFormatter
from tokensrv.web.access import PAGES

TOKENS = "/-/user_settings/personal_access_tokens"
ACCOUNT = "/-/user_settings/account"
PASSWORDS = ("canary-Passw0rd-of-an-admin", "canary-Passw0rd-of-ones-own", "canary-Passw0rd-wrong")
NEW_TOKEN = {"name": "a token", "scopes": "read_user"}

_FIELD = re.compile(r'value="([^"]+)"[^>]*data-secret')
_AREA = re.compile(r"<textarea[^>]*data-secret>([^<]+)<")


@pytest.fixture
def loud(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The log of everybody at DEBUG, in the form that is written."""
    caplog.handler.setFormatter(JsonFormatter())
    caplog.set_level(logging.DEBUG)
    logging.getLogger("tokensrv").setLevel(logging.DEBUG)
    return caplog


def _shown(answer: TestResponse) -> list[str]:
    """Return the secrets that a page shows, without the addresses around them."""
    found = _FIELD.findall(answer.text)
    for codes in _AREA.findall(answer.text):
        found += codes.split()
    assert found, answer.text
    return [re.split(r"[/#]", secret.removesuffix(".ics"))[-1] for secret in found]


def _as_user(visitor: Visitor) -> Iterator[TestResponse]:
    """Sign in as a user for the first time and make everything that has a secret."""
    given, own, wrong = PASSWORDS
    visitor.post("/users/sign_in", login="carol", password=wrong)
    visitor.post("/users/sign_in", login=wrong, password=wrong)
    visitor.post("/users/sign_in", login="carol", password=given)
    visitor.post("/users/password/new", new_password=own, confirm_new_password=own)
    visitor.post("/users/confirm", password=wrong)
    yield visitor.post(TOKENS, **NEW_TOKEN)
    yield visitor.post(f"{TOKENS}/1/rotate")
    yield visitor.post(f"{TOKENS}/calendar")
    yield visitor.post(f"{ACCOUNT}/authenticator")


def _as_admin(visitor: Visitor, user_id: int) -> Iterator[TestResponse]:
    """Make everything for others that has a secret."""
    yield visitor.post(f"/admin/users/{user_id}/reset_link")
    yield visitor.post(f"/admin/users/{user_id}/impersonation_tokens", **NEW_TOKEN)
    made = visitor.post("/admin/clients/new", name="a client", auth_methods="client_secret_basic")
    yield made
    # The link that leads on is the last one that names a client.
    client_id = re.findall(r"/admin/clients/(\w+)", made.text)[-1]
    yield visitor.post(f"/admin/clients/{client_id}/rotate_secret")


def _all_pages(app: Flask, visitor: Visitor) -> Iterator[TestResponse]:
    for rule in app.url_map.iter_rules():
        if rule.endpoint in PAGES and "GET" in (rule.methods or ()) and not rule.arguments:
            yield visitor.get(str(rule))


def test_no_secret_of_the_pages_is_in_any_sink(
    app: Flask, store: Store, loud: pytest.LogCaptureFixture
) -> None:
    carol = make_user(store, "carol", password=PASSWORDS[0])
    user, admin = Visitor(app), Visitor(app, make_admin(store))
    made = [*_as_user(user), *_as_admin(admin, carol.id)]
    assert {answer.status_code for answer in made} <= {200, 201}
    secrets = [secret for answer in made for secret in _shown(answer)]
    # Whoever has one shows it where it belongs, which is where it must not be written down.
    admin.post("/admin/explain", token=secrets[0])
    admin.post(
        "/users/password/reset", code=secrets[-1], new_password="x", confirm_new_password="y"
    )
    seen = [*_all_pages(app, user), *_all_pages(app, admin)]
    sinks = {
        "log": loud.text,
        "database": str(contents(store)),
        **{
            f"{number} {answer.request.path}": f"{answer.text} {answer.headers}"
            for number, answer in enumerate(seen)
        },
        "headers of the answers that showed them": str([answer.headers for answer in made]),
        "cookies": f"{user.cookie(SESSION)} {admin.cookie(SESSION)}",
    }
    kept = [*secrets, *PASSWORDS]
    assert {name for name, text in sinks.items() for secret in kept if secret in text} == set()
    sessions = [user.cookie(SESSION) or "", admin.cookie(SESSION) or ""]
    written = f"{sinks['log']} {sinks['database']} {[answer.text for answer in seen]}"
    assert [secret for secret in sessions if secret in written] == []
    assert len(secrets) == 8
    assert len(loud.records) > len(seen) / 2
