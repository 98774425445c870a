"""SSH keys: the parameters of their routes, and GitLab's object of one."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import fields, post_load

from tokensrv.api.schemas.base import Wire
from tokensrv.api.schemas.fields import Day, Moment, Text, constants, one_of
from tokensrv.api.schemas.paging import Paged, taken_page
from tokensrv.services.keys.ssh_key_minting import TITLE_LENGTH, KeyWish
from tokensrv.services.pages import PageRequest

_USAGE: Final = "auth_and_signing"


class ListKeys(Paged):
    """The parameters of a list of keys."""

    @post_load
    def _value(self, data: dict[str, Any], **_: Any) -> PageRequest:
        return taken_page(data)


class AddKey(Wire):
    """The parameters of a new key."""

    key = Text(required=True, metadata={"example": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI..."})
    title = Text(
        load_default="",
        metadata={"maxLength": TITLE_LENGTH, "description": "None: the comment of the key."},
    )
    expires_on = Day(data_key="expires_at", allow_none=True)
    # Every key signs in, so that one which shall only sign is not taken.
    usage_type = Text(validate=one_of(_USAGE, "auth"))

    @post_load
    def _value(self, data: dict[str, Any], **_: Any) -> KeyWish:
        data.pop("usage_type", None)
        return KeyWish(**data)


class KeyObject(Wire):
    """An SSH key; ``expires_at`` null: it has no end."""

    id = fields.Integer()
    title = fields.String()
    created_at = Moment()
    expires_at = Moment(allow_none=True)
    key = fields.String()

    class Meta(Wire.Meta):
        """Every key is for everything."""

        include = constants({"usage_type": _USAGE})
