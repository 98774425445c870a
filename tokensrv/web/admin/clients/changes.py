"""Changes of a client that one button each makes; each is asked about before it is done.

They are a table: what each is called, what it asks and says, and the verb that does it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Response, redirect, url_for
from flask.typing import ResponseReturnValue
from flask.views import MethodView

from tokensrv.db import Store
from tokensrv.http.context import origin, store
from tokensrv.services.directory import clients
from tokensrv.services.records import ClientRecord
from tokensrv.services.trail.events import Origin
from tokensrv.web import cookies
from tokensrv.web.rendering import page

bp = Blueprint("client_changes", __name__, url_prefix="/admin/clients/<client_id>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A button: its word, what follows, what is said afterwards."""

    verb: str
    question: str
    consequence: str
    done: str
    run: Callable[[Store, Origin, str], Any]
    is_bad: bool = True
    # Whether the client is there afterwards.
    is_kept: bool = True


CHANGES: Final[dict[str, Change]] = {
    "disable": Change(
        verb="Disable",
        question="Disable this client?",
        consequence="It cannot ask about tokens any more, from this moment on, until it is enabled"
        " again. Its secrets and keys are kept.",
        done="The client is disabled.",
        run=clients.disable,
    ),
    "enable": Change(
        verb="Enable",
        question="Enable this client?",
        consequence="It can ask about tokens again, with the secrets and keys that it had.",
        done="The client is enabled.",
        run=clients.enable,
        is_bad=False,
    ),
    "delete": Change(
        verb="Delete",
        question="Delete this client for good?",
        consequence="It cannot ask about tokens any more, from this moment on, and its id never"
        " comes back. Tokens that are meant for it alone are of no use to anybody then.",
        done="The client was deleted.",
        run=clients.delete,
        is_kept=False,
    ),
}


class _ChangePage(MethodView):
    """The page of one change: asks, and does it."""

    init_every_request = False

    def __init__(self, change: Change) -> None:
        self._change = change

    def get(self, client_id: str) -> ResponseReturnValue:
        """Ask whether it is wanted."""
        change = self._change
        return ask(
            clients.get(store(), client_id),
            question=change.question,
            verb=change.verb,
            consequence=(change.consequence,),
            is_bad=change.is_bad,
        )

    def post(self, client_id: str) -> ResponseReturnValue:
        """Do it."""
        self._change.run(store(), origin(), client_id)
        cookies.leave_notice(self._change.done)
        if self._change.is_kept:
            return redirect(url_for("web.client.show", client_id=client_id), 303)
        return redirect(url_for("web.clients.show"), 303)


def ask(client: ClientRecord, *, consequence: Sequence[str], **more: Any) -> Response:
    """Return the page that asks about something that is done to a client."""
    return page(
        "confirm.html",
        layout="admin/layout.html",
        facts=(("Name", client.name), ("Client id", client.client_id)),
        consequence=consequence,
        back=url_for("web.client.show", client_id=client.client_id),
        **more,
    )


for _name, _change in CHANGES.items():
    bp.add_url_rule(f"/{_name}", view_func=_ChangePage.as_view(_name, _change))
