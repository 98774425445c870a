"""Events: the log of who did what as whom, as admins read it."""

from __future__ import annotations

from tokensrv.api.blueprint import Blueprint
from tokensrv.api.schemas.events import EventObject, ListEvents
from tokensrv.http.context import store
from tokensrv.services.records import EventRecord
from tokensrv.services.reports import event_lists
from tokensrv.services.reports.event_lists import EventFilter

bp = Blueprint("events", __name__, url_prefix="/api/v4/tokensrv/events")


@bp.verb("GET", "", takes=ListEvents, gives=EventObject(many=True))
def list_events(wanted: EventFilter) -> list[EventRecord]:
    """List events, the oldest first: the last ones, or those after `since`. Admins only.

    To follow the log, ask again with the last `seq` as `since`.
    """
    return event_lists.list_events(store(), wanted)
