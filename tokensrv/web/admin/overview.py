"""The overview: how the instance is doing, in numbers and charts."""

from __future__ import annotations

from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue

from tokensrv.domain.caller import Check
from tokensrv.http.context import store
from tokensrv.services.reports import event_lists, overview
from tokensrv.services.reports.event_lists import EventFilter
from tokensrv.services.reports.overview import Activity, Expiring, Tokens
from tokensrv.web.admin.charts import Bar, Chart
from tokensrv.web.rendering import page

bp = Blueprint("overview", __name__, url_prefix="/admin")

_LATEST: Final = 8
# Below a chart of days there is room for so many of them.
_MARKS: Final = 4
# Why a token was inactive for whoever asked, or a sudo refused.
_REASONS: Final[dict[str, str]] = {
    Check.UNKNOWN: "Unknown token",
    Check.AUDIENCE: "Token for other clients",
    Check.EXPIRED: "Expired",
    Check.REVOKED: "Revoked",
    Check.NETWORK: "From an address that is not allowed",
    Check.OWNER: "Owner is not active",
    Check.SOURCE: "Source of the exchanged token is over",
    Check.SUDO: "Sudo cannot be read",
    Check.CLIENT: "Client may not use sudo",
    Check.ADMIN: "Sudo by somebody who is no admin",
    Check.CREDENTIAL: "Sudo with the wrong kind of credential",
    Check.SCOPE: "Sudo without the scope",
    Check.TARGET: "Sudo to an unknown user",
    Check.TARGET_STATE: "Sudo to a user who is not active",
    Check.TARGET_ADMIN: "Sudo to an admin",
    Check.REASON: "Sudo without a good reason",
    Check.WANTED: "A scope is missing",
    Check.LIMIT: "Scope beyond the client's limit",
}


@bp.get("")
def show() -> ResponseReturnValue:
    """Show how many tokens there are, what was asked and refused, and what happened last."""
    tokens, activity = overview.tokens(store()), overview.activity(store())
    latest = event_lists.page(store(), EventFilter(limit=_LATEST)).items
    return page(
        "admin/overview.html",
        tokens=tokens,
        most_tokens=overview.MAX_TOKENS,
        states=overview.STATES,
        ages=_ages(tokens),
        by_state=_states(tokens),
        introspections=_introspections(activity),
        sudos=_sudos(activity),
        expiring=_expiring(overview.expiring(store())),
        refusals=[(_REASONS.get(name, name), count) for name, count in activity.refusals],
        latest=latest,
        usernames=event_lists.usernames(store(), latest),
    )


def _introspections(activity: Activity) -> Chart:
    hours = activity.hours
    return Chart(
        title="Introspections by the hour",
        first="Hour (UTC)",
        series=("Active", "Inactive"),
        bars=tuple(Bar(f"{at.hour:%a %d %b, %H:%M}", (at.active, at.inactive)) for at in hours),
        marks=tuple(f"{one.day:%a %d}" for one in activity.sudos),
        places=24 * len(activity.sudos),
    )


def _sudos(activity: Activity) -> Chart:
    days = activity.sudos
    return Chart(
        title="Sudo by the day",
        first="Day (UTC)",
        series=("Used", "Refused"),
        bars=tuple(Bar(f"{one.day:%a %d %b}", (one.used, one.refused)) for one in days),
        marks=tuple(f"{one.day:%a %d}" for one in days),
    )


def _expiring(expiring: Expiring) -> Chart:
    days = expiring.days
    return Chart(
        title="Tokens that expire in the next 60 days",
        first="Day (UTC)",
        series=("Tokens",),
        bars=tuple(Bar(f"{day:%a %d %b}", (count,)) for day, count in days),
        marks=tuple(f"{day:%d %b}" for day, _ in days[:: len(days) // _MARKS]),
    )


def _ages(tokens: Tokens) -> list[tuple[str, int]]:
    """Return what the ages of tokens are called and how many have them, the youngest first."""
    words = [f"Up to {days} days" for days in overview.AGES]
    return list(zip([*words, f"More than {overview.AGES[-1]} days"], tokens.ages, strict=True))


def _states(tokens: Tokens) -> list[tuple[str, int]]:
    """Return the states of tokens and how many are in each, whatever their kind."""
    return [(state.capitalize(), tokens.total(state)) for state in overview.STATES]
