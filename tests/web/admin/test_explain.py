"""Explanations as an admin asks for them."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from tests.conftest import ManualClock
from tests.factories import make_client, make_token, make_user
from tests.services.conftest import contents
from tests.web.conftest import Visitor
from tokensrv.db import Store
from tokensrv.domain.secret import Kind, mint
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import NewToken
from tokensrv.services.trail.events import COMMAND_LINE

EXPLAIN = "/admin/explain"


@pytest.fixture
def token(store: Store) -> NewToken:
    return make_token(store, make_user(store), ("read_user",))


def _steps(answer: TestResponse) -> list[tuple[str, str]]:
    """Return whether each check was passed, and its name."""
    assert answer.status_code == 200, answer.text
    found = re.findall(r'<li class="is-(\w+)">.*?<code[^>]*>(\w+)</code>', answer.text, re.DOTALL)
    return [(state, check) for state, check in found]


def test_the_checks_of_a_token_are_shown_in_their_order(root: Visitor, token: NewToken) -> None:
    answer = root.post(EXPLAIN, token=f" {token.secret}\n")
    assert "The token is active" in answer.text
    assert _steps(answer) == [
        ("passed", check) for check in ("unknown", "expired", "revoked", "owner")
    ]
    assert "It is the personal token 1 of alice." in answer.text


def test_the_check_that_fails_is_the_last_one(root: Visitor, store: Store, token: NewToken) -> None:
    tokens.revoke(store, COMMAND_LINE, token.record.id)
    answer = root.post(EXPLAIN, id=str(token.record.id))
    assert "The token is not active" in answer.text
    assert _steps(answer)[-1] == ("failed", "revoked")


def test_whatever_a_client_may_ask_can_be_explained(root: Visitor, store: Store) -> None:
    assert root.user is not None
    make_user(store)
    sudo = make_token(store, root.user, ("sudo",))
    client = make_client(store, allow=("sudo",)).record
    answer = root.post(
        EXPLAIN,
        id=str(sudo.record.id),
        client_id=client.client_id,
        sudo="alice",
        reason="a reason",
        scope="read_user, write_registry",
        remote_ip="192.0.2.7",
    )
    checks = [check for _, check in _steps(answer)]
    assert {"client_enabled", "client", "target", "reason", "wanted"} <= set(checks)
    for name, value in (("sudo", "alice"), ("reason", "a reason"), ("remote_ip", "192.0.2.7")):
        assert re.search(rf'name="{name}"[^>]* value="{value}"', answer.text)
    assert '<details class="more" open>' in answer.text


def test_the_secret_is_in_no_answer_and_leaves_nothing_behind(
    root: Visitor, store: Store, token: NewToken
) -> None:
    before = contents(store)
    for fields in ({}, {"client_id": "nobody"}, {"id": "7"}):
        answer = root.post(EXPLAIN, token=token.secret, **fields)
        assert token.secret[-36:] not in answer.text + str(answer.headers)
    # Nor when it was pasted where the id belongs.
    assert token.secret[-36:] not in root.post(EXPLAIN, id=token.secret).text
    assert contents(store) == before


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        pytest.param({}, "Paste a token, or give its id.", id="nothing"),
        pytest.param({"id": "seven"}, "This is not a number.", id="no number"),
        pytest.param({"id": "999"}, "There is no such token.", id="unknown id"),
        pytest.param(
            {"token": mint("ts", Kind.PERSONAL)}, "There is no such token.", id="unknown secret"
        ),
        pytest.param(
            {"token": mint("ts", Kind.CLIENT)}, "There is no such token.", id="no token's secret"
        ),
        pytest.param({"token": "x", "id": "1"}, "Give the token or its id, not both.", id="both"),
        pytest.param({"id": "1", "client_id": "x"}, "There is no such client.", id="client"),
        pytest.param(
            {"id": "1", "client_id": "a\0b"}, "There is no such client.", id="no client's id"
        ),
    ],
)
@pytest.mark.usefixtures("token")
def test_what_is_wrong_is_said_beside_its_field(
    root: Visitor, fields: dict[str, str], problem: str
) -> None:
    answer = root.post(EXPLAIN, **fields)
    assert answer.status_code == 422
    assert problem in answer.text
    assert answer.text.count('aria-invalid="true"') == 1
    assert 'class="checks"' not in answer.text


def test_the_address_fills_in_the_form(root: Visitor) -> None:
    html = root.text(f"{EXPLAIN}?id=7&sudo=alice")
    assert re.search(r'name="id"[^>]* value="7"', html)
    assert '<details class="more" open>' in html
    assert '<details class="more">' in root.text(f"{EXPLAIN}?id=7")


def test_a_sign_in_in_between_keeps_everything_but_the_secret(
    root: Visitor, token: NewToken, clock: ManualClock
) -> None:
    clock.advance(seconds=timedelta(days=30).total_seconds())
    fields = {"token": token.secret, "id": token.secret, "reason": f"it is {token.secret}"}
    answer = root.post(EXPLAIN, **fields, sudo="alice")
    assert answer.status_code == 303
    assert "sudo%3Dalice" in answer.headers["Location"]
    assert token.secret[-36:] not in answer.headers["Location"]
