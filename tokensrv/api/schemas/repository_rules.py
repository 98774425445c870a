"""Rules for repositories: the parameters of their routes, and the object of one."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, post_load

from tokensrv.api.schemas.base import Wire
from tokensrv.api.schemas.fields import Moment, Text
from tokensrv.api.schemas.paging import Paged, taken_page
from tokensrv.domain.repositories import Access
from tokensrv.services.pages import PageRequest


class ListRules(Paged):
    """The parameters of ``GET /tokensrv/rules``."""

    @post_load
    def _value(self, data: dict[str, Any], **_: Any) -> PageRequest:
        return taken_page(data)


class AddRule(Wire):
    """The parameters of a rule."""

    prefix = Text(
        required=True,
        metadata={"description": "Whole segments of a path, such as team/app; / is everything."},
    )
    user = Text(required=True, metadata={"description": "A username, or an id as text."})
    access = Text(required=True, metadata={"enum": list(Access)})


class RuleObject(Wire):
    """A rule; ``user`` null: he is deleted, so that it allows nobody anything."""

    id = fields.Integer()
    prefix = fields.String()
    user = fields.String(attribute="username", allow_none=True)
    user_id = fields.Integer(allow_none=True)
    access = fields.String(metadata={"enum": list(Access)})
    created_at = Moment()
