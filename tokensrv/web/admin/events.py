"""The event log: found by what its address says, followed, looked at in detail, taken away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.domain.texts import is_storable
from tokensrv.http.context import store
from tokensrv.services.records import EventRecord
from tokensrv.services.reports import event_exports, event_lists
from tokensrv.services.reports.event_lists import EventFilter
from tokensrv.web.downloads import download
from tokensrv.web.forms import Form
from tokensrv.web.rendering import page

bp = Blueprint("events", __name__, url_prefix="/admin/events")

_A_PAGE: Final = 50
# What few ask for stands behind a fold.
_SPECIFIC: Final = ("actor", "subject", "client_id", "ip", "request_id")
_TEXTS: Final = ("user", "action", *_SPECIFIC)
_NAMES: Final = (*_TEXTS, "token_id", "first_day", "last_day")
# What the files are made by, and what they are.
_EXPORTS: Final[dict[str, tuple[Callable[[Iterable[EventRecord]], Iterator[str]], str]]] = {
    "csv": (event_exports.csv_lines, "text/csv"),
    "jsonl": (event_exports.json_lines, "application/jsonl"),
}


@bp.get("")
def show() -> ResponseReturnValue:
    """Show the latest events of those that are asked for, or the ones beside a page."""
    form = Form(request.args)
    wanted, before, after = _wanted(form), form.number("before"), form.number("after")
    found, usernames = None, {}
    if form.is_good:
        found = event_lists.page(store(), wanted, before=before, after=after)
        usernames = event_lists.usernames(store(), found.items)
    return page(
        "admin/events.html",
        200 if form.is_good else 422,
        form=form,
        found=found,
        usernames=usernames,
        actions=_proposed(event_lists.actions(store())),
        filters=_given(form),
        is_specific=any(form.text(name) for name in _SPECIFIC),
    )


@bp.get("/<id:seq>")
def detail(seq: int) -> ResponseReturnValue:
    """Show everything that an event says."""
    event = event_lists.get(store(), seq)
    following = event_lists.page(store(), EventFilter(limit=1), after=seq)
    return page(
        "admin/event.html",
        event=event,
        usernames=event_lists.usernames(store(), [event]),
        has_next=bool(following.items),
    )


@bp.get("/export.<any(csv, jsonl):kind>")
def export(kind: str) -> ResponseReturnValue:
    """Send the events that are asked for, the oldest first, while they are read."""
    form = Form(request.args)
    wanted = _wanted(form)
    if not form.is_good:
        # The list says what is wrong.
        return redirect(url_for(".show", **_given(form)), 303)
    lines, content_type = _EXPORTS[kind]
    return download(lines(event_lists.each(store(), wanted)), f"events.{kind}", content_type)


def _given(form: Form) -> dict[str, Any]:
    """Return the filters that are on, as an address says them."""
    return {name: text for name in _NAMES if (text := form.text(name))}


def _proposed(actions: Sequence[str]) -> list[str]:
    """Return the actions and before them their families."""
    families = {action.partition(".")[0] + event_lists.FAMILY for action in actions}
    return [*sorted(families), *actions]


def _wanted(form: Form) -> EventFilter:
    """Return the filter that is asked for; what makes no sense becomes an error of its field."""
    texts: dict[str, Any] = {name: _text(form, name) for name in _TEXTS}
    return EventFilter(
        limit=_A_PAGE,
        token_id=form.number("token_id"),
        first_day=form.day("first_day"),
        last_day=form.day("last_day"),
        **texts,
    )


def _text(form: Form, name: str) -> str | None:
    text = form.text(name)
    if not is_storable(text):
        form.refuse(name, "Nothing can be called so.")
    return text or None
