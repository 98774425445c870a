"""Requests for an exchange, as services send them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from werkzeug.test import TestResponse

from tests.oauth.conftest import Service
from tokensrv.oauth.token import ACCESS_TOKEN, GRANT_TYPE, USER

PATH = "/oauth/token"


def ask(
    service: Service, headers: Mapping[str, str] | None = None, **parameters: Any
) -> TestResponse:
    """Return the answer to an exchange with these very parameters and the grant."""
    return service.post(PATH, {"grant_type": GRANT_TYPE} | parameters, headers)


def of_token(token: str, **more: Any) -> dict[str, Any]:
    """Return the parameters that present an access token as the subject."""
    return {"subject_token": token, "subject_token_type": ACCESS_TOKEN} | more


def of_user(user: str, token: str, **more: Any) -> dict[str, Any]:
    """Return the parameters that name a user as the subject, and an actor's token."""
    return {
        "subject_token": user,
        "subject_token_type": USER,
        "actor_token": token,
        "actor_token_type": ACCESS_TOKEN,
    } | more


def exchanged(service: Service, **parameters: Any) -> str:
    """Return the secret of the token that an exchange gave."""
    answer = ask(service, **parameters)
    assert answer.status_code == 200, answer.text
    secret: str = answer.get_json()["access_token"]
    return secret


def refused(answer: TestResponse) -> str:
    """Return the code of a refusal."""
    assert answer.status_code == 400, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    code: str = answer.get_json()["error"]
    return code
