"""Answers: every refusal as status, body and headers, in the shapes of GitLab's API.

It owns the wording and the table from errors to answers, and sends nothing: ``http.errors`` does
that. The shapes: ``message`` (``{"message":"403 Forbidden - why"}``), ``error``
(``{"error":"name is missing"}``), ``challenge`` (RFC 6750 §3), ``record``
(``{"message":{"email":["is invalid"]}}``), ``sentence``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from tokensrv import errors
from tokensrv.domain.caller import Check, Refusal, Refused
from tokensrv.domain.facts import UserState
from tokensrv.domain.secret import masked

JSON = dict[str, Any]

# GitLab's words where they differ from the standard's, or the standard changed its own.
_TEXTS: Final = {400: "Bad request", 413: "Payload Too Large", 422: "Unprocessable Entity"}
_REALM = 'Bearer realm="Protected by OAuth 2.0"'


class ApiError(Exception):
    """A refusal that is ready to be sent."""

    def __init__(self, status: int, body: JSON, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def message(status: int, reason: str = "", *, text: str = "") -> ApiError:
    """Return the helpers' shape; ``text`` stands in for the status' own words."""
    words = f"{status} {text or _TEXTS.get(status) or HTTPStatus(status).phrase}"
    return ApiError(status, {"message": f"{words} - {reason}" if reason else words})


def unauthorized() -> ApiError:
    """Return 401: there is no credential, so the challenge has no error (RFC 6750 §3.1)."""
    return _unauthorized()


def unknown_token() -> ApiError:
    """Return 401: there is a credential that nobody knows."""
    return _unauthorized(', error="invalid_token", error_description="The token is unknown."')


def _unauthorized(problem: str = "") -> ApiError:
    # GitLab's body is the same for both, and has no code of RFC 6750.
    answer = message(401)
    answer.headers["WWW-Authenticate"] = _REALM + problem
    return answer


def forbidden(reason: str = "") -> ApiError:
    """Return 403: the caller is known, and may not."""
    return message(403, reason)


def not_found(what: str = "") -> ApiError:
    """Return 404 for a ``User``, a ``Token`` and so on."""
    return message(404, text=f"{what} Not Found".strip())


def bad_request(reason: str = "") -> ApiError:
    """Return 400 with a reason, in the helpers' shape."""
    return message(400, reason)


def error(status: int, text: str) -> ApiError:
    """Return the shape of parameter validation and of unknown routes."""
    return ApiError(status, {"error": text})


def invalid(*problems: str) -> ApiError:
    """Return 400 for parameters: ``name is missing``, ``scopes is invalid``, ..."""
    return error(400, ", ".join(problems))


def unreadable_body() -> ApiError:
    """Return 400 for a body that is not what its content type says."""
    return invalid("message body does not match declared format")


def record(field: str, *problems: str) -> ApiError:
    """Return 400 for what a record must be: ``username``, ``can't be blank``."""
    return records([field], *problems)


def records(fields: Iterable[str], *problems: str) -> ApiError:
    """Return the same where several fields have the same problems."""
    return ApiError(400, {"message": {field: list(problems) for field in fields}})


def sentence(status: int, text: str) -> ApiError:
    """Return a refusal that is one sentence."""
    return ApiError(status, {"message": text})


def challenge(status: int, code: str, description: str, **more: str) -> ApiError:
    """Return a refusal of the token itself, with its challenge (RFC 6750 §3)."""
    body = {"error": code, "error_description": description} | more
    quoted = ", ".join(f'{key}="{value}"' for key, value in body.items())
    return ApiError(status, body, {"WWW-Authenticate": f"{_REALM}, {quoted}"})


def insufficient_scope(scopes: str) -> ApiError:
    """Return 403 with the scopes, separated by blanks, that would have been enough."""
    description = "The request requires higher privileges than provided by the access token."
    return challenge(403, "insufficient_scope", description, scope=scopes)


def unavailable() -> ApiError:
    """Return 503: nothing is known, so nothing is claimed."""
    answer = message(503)
    answer.headers["Retry-After"] = "1"
    return answer


def of_refusal(refusal: Refusal, *, sign_in_url: str) -> ApiError:
    """Return the answer to a refused credential or a refused sudo."""
    check = refusal.check
    if check in _DEAD:
        return challenge(401, "invalid_token", _DEAD[check])
    if check in _FORBIDDEN:
        return forbidden(_FORBIDDEN[check])
    if check is Check.OWNER:
        return forbidden(_inactive_owner(refusal, sign_in_url))
    if check is Check.SUDO:
        return invalid("sudo is invalid")
    if check is Check.SCOPE:
        return insufficient_scope("sudo")
    if check is Check.TARGET and refusal.ask:
        # Whoever sends a secret in the place of a name finds it in no log of error bodies.
        return not_found(f"User with ID or username '{masked(refusal.ask.target.text)}'")
    if check is Check.REASON:
        is_given = refusal.ask is not None and bool(refusal.ask.reason)
        return invalid(f"sudo_reason is {'invalid' if is_given else 'missing'}")
    return unknown_token()


_DEAD: Final = {
    Check.EXPIRED: "Token is expired. You can either do re-authorization or token refresh.",
    Check.REVOKED: "Token was revoked. You have to re-authorize from the user.",
    Check.SOURCE: "Token was revoked. You have to re-authorize from the user.",
}
_FORBIDDEN: Final = {
    Check.CLIENT: "",
    Check.ADMIN: "Must be admin to use sudo",
    Check.CREDENTIAL: ("Must be authenticated using an OAuth or personal access token to use sudo"),
    Check.TARGET_STATE: "Must not sudo to a user who is not active",
    Check.TARGET_ADMIN: "Must not sudo to an administrator",
}


def _inactive_owner(refusal: Refusal, sign_in_url: str) -> str:
    if refusal.actor is not None and refusal.actor.state == UserState.DEACTIVATED:
        return (
            "Your account has been deactivated by your administrator. Please log back in from a"
            f" web browser to reactivate your account at {sign_in_url}"
        )
    return "Your account has been blocked."


def of_error(problem: errors.TokensrvError, *, sign_in_url: str) -> ApiError | None:
    """Return the answer to what a verb raised, None for a fault of ours."""
    if isinstance(problem, Refused):
        return of_refusal(problem.refusal, sign_in_url=sign_in_url)
    for kind in type(problem).__mro__:
        if kind in _ANSWERS:
            return _ANSWERS[kind](problem)
    return None


# The most special kind of an error that stands here decides.
_ANSWERS: Final[dict[type, Callable[[Any], ApiError]]] = {
    errors.StorageUnavailable: lambda _: unavailable(),
    errors.KeyUnavailable: lambda _: unavailable(),
    errors.SchemaMismatch: lambda _: unavailable(),
    errors.Invalid: lambda problem: invalid(str(problem)),
    errors.InvalidRecord: lambda problem: record(problem.field, problem.problem),
    errors.KeyTaken: lambda problem: records(("fingerprint", "key"), problem.problem),
    errors.LifetimeExceeded: lambda problem: sentence(422, str(problem)),
    errors.NotNarrower: lambda problem: bad_request(str(problem)),
    errors.NotFound: lambda problem: not_found(problem.kind),
    errors.Taken: lambda problem: sentence(409, str(problem)),
    errors.Forbidden: lambda problem: forbidden(problem.reason),
    errors.ScopesNotHeld: lambda problem: insufficient_scope(" ".join(problem.missing)),
    errors.Stale: lambda _: message(412),
    errors.SentTwice: lambda problem: sentence(409, str(problem)),
    errors.AlreadyRevoked: lambda problem: bad_request(str(problem)),
}
