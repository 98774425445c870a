from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tokensrv import errors
from tokensrv.domain.caller import Check, Refusal, Refused, SudoAsk
from tokensrv.domain.facts import UserFacts
from tokensrv.domain.usernames import target
from tokensrv.http import answers
from tokensrv.http.answers import ApiError

URL = "https://tokens.example.org"
ASK = SudoAsk(target("o'Hara\"é"))
DEAD = 'Bearer realm="Protected by OAuth 2.0", error="invalid_token", error_description="{}"'
EXPIRED = "Token is expired. You can either do re-authorization or token refresh."
REVOKED = "Token was revoked. You have to re-authorize from the user."
# An exchanged token dies with its source.
DEAD_CHECKS = {Check.EXPIRED: EXPIRED, Check.REVOKED: REVOKED, Check.SOURCE: REVOKED}
# Of a client's question; nothing of it can be refused to somebody who calls the API himself.
# From elsewhere a token is like one that nobody knows.
NOT_FROM_HERE = {Check.NETWORK}
OF_INTROSPECTION = {Check.AUDIENCE, Check.WANTED, Check.LIMIT}


def refused(check: Check, **facts: Any) -> ApiError:
    return answers.of_refusal(Refusal(check, **facts), sign_in_url=URL)


@pytest.mark.parametrize(
    ("check", "status", "body"),
    [
        (Check.UNKNOWN, 401, {"message": "401 Unauthorized"}),
        (Check.EXPIRED, 401, {"error": "invalid_token", "error_description": EXPIRED}),
        (Check.REVOKED, 401, {"error": "invalid_token", "error_description": REVOKED}),
        (Check.SOURCE, 401, {"error": "invalid_token", "error_description": REVOKED}),
        (Check.OWNER, 403, {"message": "403 Forbidden - Your account has been blocked."}),
        (Check.SUDO, 400, {"error": "sudo is invalid"}),
        (Check.CLIENT, 403, {"message": "403 Forbidden"}),
        (Check.ADMIN, 403, {"message": "403 Forbidden - Must be admin to use sudo"}),
        (
            Check.CREDENTIAL,
            403,
            {
                "message": "403 Forbidden - Must be authenticated using an OAuth or personal"
                " access token to use sudo"
            },
        ),
        (
            Check.SCOPE,
            403,
            {
                "error": "insufficient_scope",
                "error_description": "The request requires higher privileges than provided by the"
                " access token.",
                "scope": "sudo",
            },
        ),
        (
            Check.TARGET,
            404,
            {"message": "404 User with ID or username 'o'Hara\"é' Not Found"},
        ),
        (
            Check.TARGET_STATE,
            403,
            {"message": "403 Forbidden - Must not sudo to a user who is not active"},
        ),
        (
            Check.TARGET_ADMIN,
            403,
            {"message": "403 Forbidden - Must not sudo to an administrator"},
        ),
        (Check.REASON, 400, {"error": "sudo_reason is missing"}),
    ],
)
def test_each_check_has_its_answer(check: Check, status: int, body: dict[str, str]) -> None:
    answer = refused(check, ask=ASK)
    assert (answer.status, answer.body) == (status, body)


def test_no_check_is_without_an_answer() -> None:
    unknown = {check for check in Check if refused(check, ask=ASK).status == 401}
    assert unknown == {*DEAD_CHECKS, Check.UNKNOWN, *NOT_FROM_HERE, *OF_INTROSPECTION}


@pytest.mark.rfc6750("3")
@pytest.mark.parametrize(("check", "text"), DEAD_CHECKS.items(), ids=list(DEAD_CHECKS))
def test_a_dead_token_is_challenged(check: Check, text: str) -> None:
    assert refused(check).headers == {"WWW-Authenticate": DEAD.format(text)}


@pytest.mark.rfc6750("3.1")
def test_an_unknown_token_is_challenged_although_its_answer_has_no_code() -> None:
    challenge = DEAD.format("The token is unknown.")
    assert refused(Check.UNKNOWN).headers == {"WWW-Authenticate": challenge}


@pytest.mark.rfc6750("3.1")
def test_without_a_token_there_is_a_challenge_and_no_error() -> None:
    realm = 'Bearer realm="Protected by OAuth 2.0"'
    assert answers.unauthorized().headers == {"WWW-Authenticate": realm}


@pytest.mark.parametrize("state", ["blocked", "banned"])
def test_a_blocked_owner_is_told_so(state: str) -> None:
    owner = UserFacts(2, "alice", state, is_admin=False)
    text = "403 Forbidden - Your account has been blocked."
    assert refused(Check.OWNER, actor=owner).body == {"message": text}


def test_a_deactivated_owner_is_told_so() -> None:
    owner = UserFacts(2, "alice", "deactivated", is_admin=False)
    text = (
        "403 Forbidden - Your account has been deactivated by your administrator. Please log back"
        f" in from a web browser to reactivate your account at {URL}"
    )
    assert refused(Check.OWNER, actor=owner).body == {"message": text}


def test_a_reason_that_is_too_long_is_invalid() -> None:
    answer = refused(Check.REASON, ask=SudoAsk(target("alice"), "x" * 256))
    assert answer.body == {"error": "sudo_reason is invalid"}


@pytest.mark.parametrize(
    ("problem", "status", "body"),
    [
        (errors.StorageUnavailable(), 503, {"message": "503 Service Unavailable"}),
        (errors.SchemaMismatch("old"), 503, {"message": "503 Service Unavailable"}),
        (errors.Invalid("scopes", "is missing"), 400, {"error": "scopes is missing"}),
        (errors.InvalidRecord("email", "is odd"), 400, {"message": {"email": ["is odd"]}}),
        (
            errors.LifetimeExceeded(date(2027, 8, 25)),
            422,
            {"message": "Expiration date must be before 2027-08-25"},
        ),
        (
            errors.NotNarrower(),
            400,
            {"message": "400 Bad request - A token can only be narrowed"},
        ),
        (errors.NotFound("User", 7), 404, {"message": "404 User Not Found"}),
        (errors.Taken("Email"), 409, {"message": "Email has already been taken"}),
        (errors.Forbidden(), 403, {"message": "403 Forbidden"}),
        (errors.Forbidden("No"), 403, {"message": "403 Forbidden - No"}),
        (
            errors.AlreadyRevoked(),
            400,
            {"message": "400 Bad request - Token already revoked"},
        ),
        (Refused(Refusal(Check.UNKNOWN)), 401, {"message": "401 Unauthorized"}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_each_error_has_its_answer(
    problem: errors.TokensrvError, status: int, body: dict[str, Any]
) -> None:
    answer = answers.of_error(problem, sign_in_url=URL)
    assert answer is not None
    assert (answer.status, answer.body) == (status, body)


def test_scopes_that_are_not_held_are_named() -> None:
    answer = answers.of_error(errors.ScopesNotHeld(("api", "sudo")), sign_in_url=URL)
    assert answer is not None
    assert (answer.status, answer.body["error"]) == (403, "insufficient_scope")
    assert answer.body["scope"] == "api sudo"


def test_who_is_told_503_is_told_when_to_come_back() -> None:
    answer = answers.of_error(errors.StorageUnavailable(), sign_in_url=URL)
    assert answer is not None
    assert answer.headers == {"Retry-After": "1"}


def test_a_fault_of_ours_has_no_answer() -> None:
    assert answers.of_error(errors.ConfigError("wrong"), sign_in_url=URL) is None


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (answers.not_found(), {"message": "404 Not Found"}),
        (answers.not_found("User"), {"message": "404 User Not Found"}),
        (answers.bad_request(), {"message": "400 Bad request"}),
        (answers.bad_request("why"), {"message": "400 Bad request - why"}),
        (answers.message(405), {"message": "405 Method Not Allowed"}),
        (answers.message(412), {"message": "412 Precondition Failed"}),
        (answers.invalid("a is missing", "b is invalid"), {"error": "a is missing, b is invalid"}),
        (answers.record("email", "is odd", "is bad"), {"message": {"email": ["is odd", "is bad"]}}),
    ],
)
def test_the_shapes_are_gitlabs(answer: ApiError, body: dict[str, Any]) -> None:
    assert answer.body == body
