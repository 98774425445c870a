"""Explanations: the parameters of the question, and the checks that answer it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError, fields, post_load, validates_schema

from tokensrv.api.schemas.base import Wire
from tokensrv.api.schemas.fields import Id, Text
from tokensrv.domain import networks
from tokensrv.domain.introspection import Question
from tokensrv.http.parse import sudo


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What somebody wants explained; ``token`` is a secret or an id."""

    token: str | int
    question: Question
    client_id: str | None


class ExplainToken(Wire):
    """The parameters of ``POST /tokensrv/explain``: one token, and what is asked about it."""

    token = Text(metadata={"description": "The secret of the token; this or its id."})
    id = Id()
    client_id = Text(metadata={"description": "As this client would be told."})
    # Whatever a client sends is explained, so nothing is refused here.
    sudo = fields.Raw(allow_none=True, metadata={"description": "As whom: an id or a username."})
    sudo_reason = fields.Raw(allow_none=True)
    remote_ip = Text(metadata={"description": "From which address it would be used."})
    scope = Text(metadata={"description": "The scopes that are wanted, separated by blanks."})

    @validates_schema
    def _names_one(self, data: dict[str, Any], **_: Any) -> None:
        named = data.keys() & {"token", "id"}
        if not named:
            raise ValidationError("token, id are missing, exactly one parameter must be provided")
        if len(named) > 1:
            raise ValidationError("token, id are mutually exclusive")

    @post_load
    def _value(self, data: dict[str, Any], **_: Any) -> Inquiry:
        asked, reason = ([data[name]] if name in data else [] for name in ("sudo", "sudo_reason"))
        question = Question(
            ask=sudo.read(None, asked, None, reason),
            scopes=tuple(data.get("scope", "").split()),
            remote_ip=networks.spelling(data.get("remote_ip")),
        )
        return Inquiry(
            data["id"] if "id" in data else data["token"], question, data.get("client_id")
        )


class Step(Wire):
    """One check."""

    check = fields.String()
    passed = fields.Boolean()
    detail = fields.String()


class ExplanationObject(Wire):
    """Whether the token is active, and the checks up to the one that it failed."""

    active = fields.Boolean(attribute="is_active")
    checks = fields.List(fields.Nested(Step), attribute="steps")
