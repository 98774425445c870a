"""The calendar feed: its link made, shown once and revoked, and what calendars read with it."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from tokensrv.domain import icalendar
from tokensrv.http import context
from tokensrv.services.account import calendar
from tokensrv.services.account.calendar import Expiry
from tokensrv.web import cookies
from tokensrv.web.rendering import page

bp = Blueprint("feed", __name__)

_PAGE: Final = "/-/user_settings/personal_access_tokens/calendar"
_REMIND_DAYS: Final = 7


@bp.get("/-/calendar/<secret>.ics")
def read(secret: str) -> Response:
    """Answer a calendar; an address that is none of ours is as unknown as any other."""
    found = calendar.expiries(context.store(), secret)
    if found is None:
        raise NotFound
    name = f"Access tokens of {found.username}"
    content = icalendar.calendar(name, map(_entry, found.expiries))
    response = Response(content, content_type="text/calendar; charset=utf-8")
    # Once it is revoked nobody goes on showing it.
    response.headers["Cache-Control"] = "private, no-cache"
    return response


@bp.get(_PAGE)
def ask() -> ResponseReturnValue:
    """Ask whether to make a link, or another one in its place."""
    user_id = context.caller().subject.id
    return page(
        "settings/feed.html", made_at=calendar.made_at(context.store(), user_id), address=None
    )


@bp.post(_PAGE)
def make() -> ResponseReturnValue:
    """Make it and show its address, once."""
    new = calendar.make(context.store(), context.origin())
    address = context.settings().external_url + url_for("web.feed.read", secret=new.secret)
    return page("settings/feed.html", made_at=new.made_at, address=address)


@bp.get(f"{_PAGE}/revoke")
def ask_revocation() -> ResponseReturnValue:
    """Ask whether to revoke the link."""
    return page(
        "confirm.html",
        layout="settings/layout.html",
        question="Revoke the calendar link?",
        verb="Revoke",
        is_bad=True,
        consequence=["Calendars that read it find nothing any more. Your tokens stay as they are."],
        back=url_for("web.tokens.show"),
    )


@bp.post(f"{_PAGE}/revoke")
def revoke() -> ResponseReturnValue:
    """Revoke it."""
    calendar.revoke(context.store(), context.origin())
    cookies.leave_notice("The calendar link is revoked.")
    return redirect(url_for("web.tokens.show"), 303)


def _entry(expiry: Expiry) -> icalendar.Entry:
    url = context.settings().external_url
    return icalendar.Entry(
        uid=f"token-{expiry.token_id}@{urlsplit(url).hostname}",
        day=expiry.day,
        title=f"Token expires: {expiry.name}",
        text="It ends at 00:00 UTC of this day. Rotate it before, or let it go.",
        url=url + url_for("web.tokens.show"),
        stamp=expiry.updated_at,
        remind_days=_REMIND_DAYS,
    )
