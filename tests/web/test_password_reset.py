from __future__ import annotations

import re

import pytest

from tests.factories import make_user
from tests.services.conftest import contents
from tests.web.conftest import SESSION, Visitor
from tokensrv.db import Store
from tokensrv.services.account import resets
from tokensrv.services.trail.events import COMMAND_LINE

pytestmark = pytest.mark.usefixtures("cheap_hashes")

RESET = "/users/password/reset"
NEW = "staple of a new one"
TWICE = {"new_password": NEW, "confirm_new_password": NEW}


@pytest.fixture
def code(store: Store) -> str:
    return resets.make(store, COMMAND_LINE, make_user(store, "bob").id).secret


def test_whoever_has_the_code_sets_a_password_and_then_signs_in(
    anybody: Visitor, code: str
) -> None:
    answer = anybody.post(RESET, code=code, **TWICE)
    assert (answer.status_code, answer.location) == (303, "/users/sign_in")
    assert anybody.cookie(SESSION) is None
    assert "Your password is set. Sign in with it." in anybody.text("/users/sign_in")
    assert anybody.post("/users/sign_in", login="bob", password=NEW).status_code == 303


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        pytest.param({"code": "junk"}, "This is not valid: it was used", id="unknown code"),
        pytest.param({"code": ""}, "This is not valid: it was used", id="no code"),
        pytest.param({"confirm_new_password": "x"}, "This is not the same.", id="mistyped"),
        pytest.param(
            {"new_password": "password1", "confirm_new_password": "password1"},
            "This must not contain commonly used combinations of words and letters.",
            id="common",
        ),
    ],
)
def test_what_is_refused_stands_beside_its_field_and_leaves_the_link(
    store: Store, anybody: Visitor, code: str, given: dict[str, str], sentence: str
) -> None:
    before = contents(store)
    answer = anybody.post(RESET, **{"code": code} | TWICE | given)
    assert answer.status_code == 422
    assert re.search(rf'class="error"[^>]*role="alert">{sentence}', answer.text)
    assert NEW not in answer.text
    assert contents(store) == before
    assert anybody.post(RESET, code=code, **TWICE).status_code == 303


def test_a_used_code_is_refused_as_one_that_nobody_made(anybody: Visitor, code: str) -> None:
    anybody.post(RESET, code=code, **TWICE)
    anybody.get("/users/sign_in")
    used, unknown = (anybody.post(RESET, code=one, **TWICE) for one in (code, "junk"))
    assert used.status_code == unknown.status_code == 422
    assert used.text.replace(code, "junk") == unknown.text


def test_the_code_may_be_typed(anybody: Visitor) -> None:
    text = anybody.text(RESET)
    assert '<label for="code">Code</label>' in text
    assert "reset.js" in text
