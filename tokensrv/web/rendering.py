"""Rendering: pages out of templates, and what every template has at hand.

It owns how moments and long texts are put into words. Templates escape what they show.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import urlencode

from flask import Flask, Response, make_response, render_template, request
from markupsafe import Markup

from tokensrv.clock import utcnow
from tokensrv.domain import texts
from tokensrv.http import context
from tokensrv.web import admission, assets, cookies, csrf

# Seconds of each length of time, the longest first.
_UNITS: Final = (
    ("year", 365 * 86_400),
    ("month", 30 * 86_400),
    ("day", 86_400),
    ("hour", 3_600),
    ("minute", 60),
)


def init_app(app: Flask) -> None:
    """Give every template of the application what it needs."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters |= {"exact": exact, "ago": ago, "plain": texts.plain}
    app.jinja_env.globals |= {
        "asset": assets.address,
        "csrf_token": csrf.token,
        "csrf_field": _csrf_field,
        "current_session": admission.find_current,
        "here": here,
        "now": _now,
        "notice": cookies.take_notice,
    }


def page(template: str, status: int = 200, **values: Any) -> Response:
    """Return a page as the answer."""
    return make_response(render_template(template, **values), status)


def exact(moment: datetime | date) -> str:
    """Return a moment, or a day, as people write it, in UTC."""
    return f"{moment:%Y-%m-%d %H:%M} UTC" if isinstance(moment, datetime) else moment.isoformat()


def ago(moment: datetime) -> str:
    """Return how far a moment is from now, such as ``in 3 days`` or ``2 hours ago``."""
    seconds = (moment - _now()).total_seconds()
    for unit, length in _UNITS:
        if abs(seconds) >= length:
            count = round(abs(seconds) / length)
            words = f"{count} {unit}{'' if count == 1 else 's'}"
            return f"in {words}" if seconds > 0 else f"{words} ago"
    return "in a moment" if seconds > 0 else "just now"


def here(**changes: Any) -> str:
    """Return the address of this page with some parameters changed; None takes one away."""
    given: dict[str, Any] = request.args.to_dict(flat=False)
    given |= {name: [value] for name, value in changes.items()}
    kept: Mapping[str, list[Any]] = {
        name: values for name, values in given.items() if values != [None]
    }
    return f"{request.path}?{urlencode(kept, doseq=True)}" if kept else request.path


def _now() -> datetime:
    return utcnow(context.store().clock)


def _csrf_field() -> Markup:
    field = Markup('<input type="hidden" name="{}" value="{}">')
    return field.format(csrf.FIELD, csrf.token())
