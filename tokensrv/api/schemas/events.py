"""Events: the parameters of their list, and the object of one."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import fields, post_load, validate

from tokensrv.api.schemas.base import Wire
from tokensrv.api.schemas.fields import NO_VALID_VALUE, Id, Moment, StrictDay, Text, Whole
from tokensrv.services.pages import MAX_PER_PAGE
from tokensrv.services.reports.event_lists import EventFilter

_DEFAULT: Final = 20
_USER: Final = "An id or a username."


class ListEvents(Wire):
    """The parameters of ``GET /tokensrv/events``."""

    limit = Whole(
        load_default=_DEFAULT,
        validate=validate.Range(min=1, error=NO_VALID_VALUE),
        metadata={"description": f"At most so many; more than {MAX_PER_PAGE} are {MAX_PER_PAGE}."},
    )
    since = Whole(
        metadata={"description": "The first events after this `seq` instead of the last ones."}
    )
    action = Text(metadata={"description": "Such as `token.created`, or `token.*` for a family."})
    user = Text(metadata={"description": f"Acted, was acted as, or it is about him. {_USER}"})
    actor = Text(metadata={"description": f"Who really acted. {_USER}"})
    subject = Text(metadata={"description": f"As whom. {_USER}"})
    token_id = Id()
    client_id = Text()
    ip = Text()
    request_id = Text()
    first_day = StrictDay(metadata={"description": "From 00:00 UTC of this day on."})
    last_day = StrictDay(metadata={"description": "Until the end of this day (UTC)."})

    @post_load
    def _value(self, data: dict[str, Any], **_: Any) -> EventFilter:
        return EventFilter(**data | {"limit": min(data["limit"], MAX_PER_PAGE)})


class EventObject(Wire):
    """An event with all that its hash covers, and its hash."""

    seq = fields.Integer()
    at = Moment()
    action = fields.String()
    actor_id = fields.Integer(allow_none=True)
    actor = fields.String(allow_none=True)
    subject_id = fields.Integer(allow_none=True)
    subject = fields.String(allow_none=True)
    token_id = fields.Integer(allow_none=True)
    client_id = fields.String(allow_none=True)
    ip = fields.String(allow_none=True)
    request_id = fields.String(allow_none=True)
    reason = fields.String(allow_none=True)
    data = fields.Dict()
    prev_hash = fields.String()
    hash = fields.String()
