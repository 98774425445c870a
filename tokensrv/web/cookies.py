"""Cookies: what a browser keeps for us: its session, or that it was here at all.

A view says what is to be kept, and it is written with the answer. Over HTTPS the names bind them
to this very host (``__Host-``), so that no neighbour can plant one.
"""

from __future__ import annotations

import secrets
from typing import Final, cast

from flask import Blueprint, Response, g, request

from tokensrv.http import context
from tokensrv.services.account.sessions import LIFETIME, NewSession

_SESSION: Final = "tokensrv_session"
# Of somebody who is not signed in: his forms must be his own as well.
_VISIT: Final = "tokensrv_visit"
_NOTICE: Final = "tokensrv_notice"
_NOTICE_SECONDS: Final = 60


def init_app(bp: Blueprint) -> None:
    """Write the cookies of every page."""
    bp.after_request(_write)


def session_secret() -> str | None:
    """Return the secret of the browser's session, None when it has none."""
    return request.cookies.get(_name(_SESSION))


def keep_session(new: NewSession) -> None:
    """Have the browser keep this session; what is drawn from now on belongs to it."""
    g.new_session = new


def forget_session() -> None:
    """Have the browser forget its session."""
    g.forget_session = True


def seed() -> str:
    """Return what the forms of this browser are bound to, something new if it kept nothing."""
    new = cast(NewSession | None, g.get("new_session"))
    if new is not None:
        return new.secret
    kept = session_secret() or request.cookies.get(_name(_VISIT)) or g.get("new_visit")
    if not kept:
        kept = g.new_visit = secrets.token_urlsafe(32)
    return kept


def kept_seed() -> str | None:
    """Return what this browser's forms had to be bound to, None when it kept nothing."""
    return session_secret() or request.cookies.get(_name(_VISIT))


def leave_notice(text: str) -> None:
    """Have the next page say this once."""
    g.new_notice = text


def take_notice() -> str | None:
    """Return what the page before left to say, None for nothing."""
    found = request.cookies.get(_name(_NOTICE))
    g.took_notice = found is not None
    return found


def _write(response: Response) -> Response:
    new = cast(NewSession | None, g.get("new_session"))
    if new is not None:
        _set(response, _SESSION, new.secret, seconds=int(LIFETIME.total_seconds()))
        _delete(response, _VISIT)
    elif g.get("forget_session"):
        _delete(response, _SESSION)
    elif g.get("new_visit"):
        _set(response, _VISIT, g.new_visit, seconds=None)
    if g.get("new_notice"):
        _set(response, _NOTICE, g.new_notice, seconds=_NOTICE_SECONDS)
    elif g.get("took_notice"):
        _delete(response, _NOTICE)
    return response


def _is_https() -> bool:
    return context.settings().external_url.startswith("https:")


def _name(name: str) -> str:
    return f"__Host-{name}" if _is_https() else name


def _set(response: Response, name: str, value: str, *, seconds: int | None) -> None:
    response.set_cookie(
        _name(name),
        value,
        max_age=seconds,
        path="/",
        secure=_is_https(),
        httponly=True,
        samesite="Lax",
    )


def _delete(response: Response, name: str) -> None:
    response.delete_cookie(_name(name), path="/", secure=_is_https(), httponly=True, samesite="Lax")
