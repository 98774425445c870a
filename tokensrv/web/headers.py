"""Headers: what a browser may do with a page, and keep of it.

No page runs or loads anything that is not ours, none is framed, none is kept.
"""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response

from tokensrv.http import context

_SOURCES: Final = {
    "default-src": "'none'",
    "style-src": "'self'",
    "script-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
_POLICY: Final = "; ".join(f"{what} {where}" for what, where in _SOURCES.items())
_ALWAYS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
}
_HSTS: Final = "max-age=31536000; includeSubDomains"


def init_app(bp: Blueprint) -> None:
    """Add the headers to every page."""
    bp.after_request(add)


def add(response: Response) -> Response:
    """Return the answer with the headers of a page."""
    response.headers.update(_ALWAYS)
    # What a view says of it goes first.
    response.headers.setdefault("Cache-Control", "no-store")
    if context.settings().external_url.startswith("https:"):
        response.headers["Strict-Transport-Security"] = _HSTS
    return response
