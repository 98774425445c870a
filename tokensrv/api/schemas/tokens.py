"""Tokens: the parameters of their routes, and GitLab's object of one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from marshmallow import fields, post_load

from tokensrv.api.schemas.base import Wire
from tokensrv.api.schemas.fields import (
    SEARCH,
    Day,
    Flag,
    Id,
    Mark,
    Moment,
    StrictDay,
    Text,
    Whole,
    Words,
    constants,
    one_of,
)
from tokensrv.api.schemas.paging import Paged, taken_page
from tokensrv.domain.facts import TokenKind
from tokensrv.domain.networks import SIZE
from tokensrv.services.lifecycle.minting import TokenWish
from tokensrv.services.lifecycle.token_lists import TokenFilter
from tokensrv.services.lifecycle.token_values import TokenChanges
from tokensrv.services.pages import PageRequest

# What the services ask for, said in the description too.
_NAME: Final = {"minLength": 1, "maxLength": 255, "example": "laptop"}
_DESCRIPTION: Final = {"maxLength": 255}
_SCOPES: Final = {"minItems": 1, "example": ["read_api"]}
_ALLOWED_IPS: Final = {
    "maxItems": SIZE,
    "description": "Addresses and networks that it may be used from; none: from anywhere.",
    "example": ["192.0.2.7", "2001:db8::/32"],
}

# From guest to owner.
_ACCESS_LEVELS = (5, 10, 15, 20, 30, 40, 50)


@dataclass(frozen=True, slots=True)
class TokenListing:
    """The list that somebody wants."""

    filter: TokenFilter
    sort: str | None
    page: PageRequest
    is_keyset: bool = False
    cursor: str | None = None


class ListTokens(Paged):
    """The parameters of ``GET /personal_access_tokens``."""

    user_id = Id()
    is_revoked = Flag(data_key="revoked")
    state = Text(validate=one_of("active", "inactive"))
    created_before = Moment()
    created_after = Moment()
    last_used_before = Moment()
    last_used_after = Moment()
    expires_before = Day()
    expires_after = Day()
    search = Text(validate=SEARCH)
    # Ours, as are pages by key: GitLab only searches, which reads every name.
    name = Text(metadata={"description": "The whole name, letter by letter."})
    # Whatever is no order is ignored, as GitLab does.
    sort = Text()
    pagination = Text(validate=one_of("offset", "legacy", "keyset"))
    cursor = Text()

    @post_load
    def _value(self, data: dict[str, Any], **_: Any) -> TokenListing:
        page, sort = taken_page(data), data.pop("sort", None)
        is_keyset = data.pop("pagination", None) == "keyset"
        cursor = data.pop("cursor", None)
        wanted = TokenFilter(is_active=_is_active(data), **data)
        return TokenListing(wanted, sort, page, is_keyset, cursor)


class ListImpersonationTokens(Paged):
    """The parameters of ``GET /users/:id/impersonation_tokens``."""

    state = Text(validate=one_of("all", "active", "inactive"))

    @post_load
    def _value(self, data: dict[str, Any], **_: Any) -> TokenListing:
        page, is_active = taken_page(data), _is_active(data)
        return TokenListing(
            TokenFilter(is_active=is_active, kind=TokenKind.IMPERSONATION), None, page
        )


def _is_active(data: dict[str, Any]) -> bool | None:
    return {"active": True, "inactive": False}.get(data.pop("state", "all"))


class ListAssociations(Paged):
    """The parameters of ``GET /personal_access_tokens/self/associations``."""

    min_access_level = Whole(validate=one_of(*_ACCESS_LEVELS))

    @post_load
    def _value(self, data: dict[str, Any], **_: Any) -> PageRequest:
        return taken_page(data)


class CreateToken(Wire):
    """The parameters of a new personal access token."""

    name = Text(required=True, metadata=_NAME)
    scopes = Words(required=True, metadata=_SCOPES)
    description = Text(allow_none=True, metadata=_DESCRIPTION)
    expires_on = StrictDay(data_key="expires_at", allow_none=True)
    audience = Words()
    allowed_ips = Words(metadata=_ALLOWED_IPS)

    @post_load
    def _value(self, data: dict[str, Any], **_: Any) -> TokenWish:
        return TokenWish(**data)


class CreateImpersonationToken(CreateToken):
    """The parameters of a new impersonation token; no scopes are a fault of the record."""

    scopes = Words(load_default=())

    @post_load
    def _value(self, data: dict[str, Any], **_: Any) -> TokenWish:
        return TokenWish(kind=TokenKind.IMPERSONATION, **data)


class ChangeToken(Wire):
    """The parameters of ``PATCH /personal_access_tokens/:id``."""

    name = Text(metadata=_NAME)
    scopes = Words(metadata=_SCOPES)
    description = Text(allow_none=True, metadata=_DESCRIPTION)
    expires_on = StrictDay(data_key="expires_at", allow_none=True)
    audience = Words()
    allowed_ips = Words(metadata=_ALLOWED_IPS)

    @post_load
    def _value(self, data: dict[str, Any], **_: Any) -> TokenChanges:
        return TokenChanges(**data)


class RotateToken(Wire):
    """The parameters of a rotation: the new expiry, None for the default."""

    expires_on = StrictDay(data_key="expires_at", allow_none=True)

    @post_load
    def _value(self, data: dict[str, Any], **_: Any) -> date | None:
        return data.get("expires_on")


class IdentifyToken(Wire):
    """The parameters of ``/admin/token``: a secret."""

    token = Text(required=True)

    @post_load
    def _value(self, data: dict[str, Any], **_: Any) -> str:
        secret: str = data["token"]
        return secret


class TokenObject(Wire):
    """A token as GitLab shows it, with its audience and its allow list."""

    id = fields.Integer()
    name = fields.String()
    revoked = fields.Boolean(attribute="is_revoked")
    created_at = Moment()
    description = fields.String(allow_none=True)
    scopes = fields.List(fields.String())
    user_id = fields.Integer()
    last_used_at = Moment(allow_none=True)
    last_used_ips = fields.List(fields.String())
    active = fields.Boolean(attribute="is_active")
    expires_at = fields.Date(attribute="expires_on", allow_none=True)
    audience = fields.List(fields.String())
    allowed_ips = fields.List(fields.String())
    impersonation = Mark(TokenKind.IMPERSONATION, attribute="kind")

    class Meta(Wire.Meta):
        """Keys that mean nothing here."""

        include = constants({"granular": False})


class NewTokenObject(TokenObject):
    """A token just made, with its secret: the only object that has it."""

    token = fields.String(attribute="secret")

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Return the secret of the carrier, everything else of its record."""
        return super().get_attribute(obj if attr == "secret" else obj.record, attr, default)


class TokenRow(Wire):
    """A token as ``POST /admin/token`` shows it: the whole record."""

    id = fields.Integer()
    user_id = fields.Integer()
    name = fields.String()
    revoked = fields.Boolean(attribute="is_revoked")
    expires_at = fields.Date(attribute="expires_on", allow_none=True)
    created_at = Moment()
    updated_at = Moment()
    scopes = fields.List(fields.String())
    impersonation = fields.Function(
        lambda record: record.kind == TokenKind.IMPERSONATION, metadata={"type": "boolean"}
    )
    last_used_at = Moment(allow_none=True)
    previous_personal_access_token_id = fields.Integer(attribute="previous_id", allow_none=True)

    class Meta(Wire.Meta):
        """Keys that mean nothing here."""

        include = constants(
            {
                "expire_notification_delivered": False,
                "after_expiry_notification_delivered": False,
                "advanced_scopes": None,
                "organization_id": 1,
            }
        )
