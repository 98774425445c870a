"""Problems: errors as pages for people, with what they can do about them.

Whether a request is a person's is decided here: it asked for one of our pages, or for something
that nobody has, with a browser.
"""

from __future__ import annotations

from typing import Final

from flask import Response, render_template, request

from tokensrv.http.answers import ApiError
from tokensrv.web import headers

_MACHINES: Final = ("/api/", "/oauth/", "/.well-known/", "/gate/", "/jwt/", "/metrics", "/openapi")
_TITLES: Final = {
    400: "This request makes no sense",
    401: "You are not signed in any more",
    403: "You may not do this",
    404: "There is no such page",
    405: "This page cannot be used like that",
    409: "Somebody was faster",
    413: "This is too long",
    422: "Something is not right",
    429: "Too many attempts",
    503: "Not available for a moment",
}
_TEXTS: Final = {
    403: "You do not have the right to do this.",
    404: "It may have been removed, or it is not yours.",
    503: "Something that this page needs does not answer. Try again in a moment.",
}
_OUR_FAULT: Final = "It is our fault, and it was recorded."
_OTHERS_FAULT: Final = "Nothing was done. Go back, and try it in another way."


def draw(answer: ApiError) -> Response | None:
    """Return the page of an error, None when this request is not a person's."""
    if not _is_of_a_person():
        return None
    status = answer.status
    other = _OUR_FAULT if status >= 500 else _OTHERS_FAULT
    text = render_template(
        "problem.html",
        status=status,
        title=_TITLES.get(status, "Something went wrong"),
        text=_reason(answer) or _TEXTS.get(status, other),
    )
    response = Response(text, status)
    for name, value in answer.headers.items():
        response.headers[name] = value
    return headers.add(response)


def _is_of_a_person() -> bool:
    if request.endpoint is not None:
        return "web" in request.blueprints
    is_for_machines = request.path.startswith(_MACHINES)
    return not is_for_machines and request.accept_mimetypes.accept_html and _names_html()


def _names_html() -> bool:
    return "text/html" in request.headers.get("Accept", "")


def _reason(answer: ApiError) -> str:
    """Return what there is to say beyond the status: the part behind GitLab's dash."""
    words = answer.body.get("message") or answer.body.get("error_description") or ""
    return words.partition(" - ")[2] if isinstance(words, str) else ""
