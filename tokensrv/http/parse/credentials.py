"""Credentials: the token that a request to the GitLab dialect presents.

It only finds the text; whether there is such a token is the lookup's question. The first source
that is not blank counts alone, so that a wrong one is never rescued by another.
"""

from __future__ import annotations

from tokensrv.http.answers import ApiError, invalid
from tokensrv.http.parse.parameters import Parameters

# What a number or a list counts as: something was presented, and nobody knows it.
_UNKNOWN = "-"
_PARAMETERS = ("private_token", "access_token", "bearer_token")


def presented(
    parameters: Parameters,
    *,
    private_token: str | None,
    authorization: str | None,
    in_query: bool,
) -> str | None:
    """Return the presented token as it was written, None when there is none.

    ``private_token`` and ``authorization`` are the headers of these names; ``in_query`` says
    whether tokens in the URL count. Raises ApiError (400) for a parameter given twice and for
    a bearer token in both header and payload (RFC 6750 §2).
    """
    named = {name: _parameter(parameters, name, in_query=in_query) for name in _PARAMETERS}
    bearer = _bearer(authorization)
    if bearer and named["access_token"]:
        description = "Both Authorization header and payload includes access token."
        raise ApiError(400, {"error": "invalid_request", "error_description": description})
    return (
        named["private_token"]
        or (private_token or "").strip()
        or bearer
        or named["access_token"]
        or named["bearer_token"]
        or None
    )


def _parameter(parameters: Parameters, name: str, *, in_query: bool) -> str:
    values = parameters.all(name, in_query=in_query)
    if len(values) > 1:
        raise invalid(f"{name} is invalid")
    if not values or values[0] is None:
        return ""
    text = values[0] if isinstance(values[0], str) else _UNKNOWN
    return text if text.strip() else ""


def _bearer(authorization: str | None) -> str:
    scheme, _, value = (authorization or "").strip().partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""
