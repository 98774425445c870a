"""The form of a new token: what it offers, how it is filled in, the wish that it is read as."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from flask import request
from werkzeug.datastructures import MultiDict

from tokensrv.clock import today
from tokensrv.domain import scopes
from tokensrv.domain.facts import TokenKind
from tokensrv.http import context
from tokensrv.services import submissions
from tokensrv.services.lifecycle.minting import TokenWish, last_day
from tokensrv.web.forms import Form

_SUGGESTED: Final = timedelta(days=30)
_PRESETS: Final = {7: "7 days", 30: "30 days", 60: "60 days", 90: "90 days", 365: "1 year"}
_OWN_SCOPE: Final = "Defined by this installation."


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What can be chosen from; ``submission`` makes the form one that is sent once."""

    # Name, words and meaning of each.
    scopes: tuple[tuple[str, str, str], ...]
    first_day: date
    last_day: date
    # Days from now, and their words.
    presets: tuple[tuple[int, str], ...]
    # Whether there must be a day.
    needs_day: bool
    submission: str


def offer(form: Form, *, is_admin: bool) -> Offer:
    """Return what a form offers to this kind of owner."""
    settings, day = context.settings(), today(context.store().clock)
    last = last_day(context.store())
    return Offer(
        scopes=tuple(
            (scope, scope, scopes.BUILT_IN.get(scope, _OWN_SCOPE))
            for scope in scopes.available(settings.extra_scopes)
            if is_admin or scope not in scopes.ADMIN_ONLY
        ),
        first_day=day + timedelta(days=1),
        last_day=last,
        presets=tuple(item for item in _PRESETS.items() if day + timedelta(days=item[0]) <= last),
        needs_day=settings.require_expiry,
        submission=form.raw("submission") or submissions.new(),
    )


def prefilled() -> Form:
    """Return the form as the address fills it in; scopes may be separated by commas."""
    given: MultiDict[str, str] = MultiDict(request.args)
    words = [text.replace(",", " ").split() for text in request.args.getlist("scopes")]
    given.setlist("scopes", [scope for each in words for scope in each])
    suggested = min(today(context.store().clock) + _SUGGESTED, last_day(context.store()))
    return Form(given, defaults={"expires_at": suggested.isoformat()})


def wish(form: Form, *, kind: TokenKind = TokenKind.PERSONAL) -> TokenWish:
    """Return what somebody wants; a day that is none becomes an error of the form."""
    return TokenWish(
        kind=kind,
        name=form.text("name"),
        description=form.text("description") or None,
        scopes=form.all("scopes"),
        expires_on=form.day("expires_at"),
        audience=form.lines("audience"),
        allowed_ips=form.lines("allowed_ips"),
    )
