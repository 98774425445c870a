"""Users: the parameters that make and change one. What is shown of them is ``user_forms``."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import ValidationError, post_load, validates_schema

from tokensrv.api.schemas.base import Wire
from tokensrv.api.schemas.fields import Flag, Text
from tokensrv.domain import usernames
from tokensrv.errors import InvalidRecord
from tokensrv.services.directory.passwords import MAX_LENGTH, MIN_LENGTH
from tokensrv.services.directory.profiles import (
    EMAIL_LENGTH,
    PROFILE_FLAGS,
    PROFILE_TEXTS,
    TEXT_LENGTH,
)
from tokensrv.services.directory.users import NewUser, UserChanges

_WAYS_TO_A_PASSWORD: Final = ("password", "reset_password", "force_random_password")
# Texts that storage tells apart from empty ones.
_MAY_BE_NULL: Final = frozenset({"note", "location"})


# What the services ask for, said in the description too.
_EMAIL: Final = {"format": "email", "maxLength": EMAIL_LENGTH, "example": "alice@example.com"}
_NAME: Final = {"minLength": 1, "maxLength": TEXT_LENGTH, "example": "Alice"}
_USERNAME: Final = {"pattern": f"^{usernames.PATTERN}$", "example": "alice"}
_PASSWORD: Final = {"minLength": MIN_LENGTH, "maxLength": MAX_LENGTH}


class ChangeUser(Wire):
    """The parameters of ``PUT /users/:id``; all others of GitLab's are ignored."""

    email = Text(metadata=_EMAIL)
    name = Text(metadata=_NAME)
    username = Text(metadata=_USERNAME)
    password = Text(metadata=_PASSWORD)
    is_admin = Flag(data_key="admin")

    class Meta(Wire.Meta):
        """What a profile may say."""

        include = {name: Text(allow_none=True) for name in PROFILE_TEXTS} | {
            name: Flag() for name in PROFILE_FLAGS
        }

    @post_load
    def _value(self, data: dict[str, Any], **_: Any) -> UserChanges:
        return UserChanges(profile=_taken_profile(data), **data)


class CreateUser(ChangeUser):
    """The parameters of ``POST /users``.

    Nothing is mailed and nobody sees a random password, so both ways without a password leave
    the user without one.
    """

    email = Text(required=True, metadata=_EMAIL)
    name = Text(required=True, metadata=_NAME)
    username = Text(required=True, metadata=_USERNAME)
    reset_password = Flag()
    force_random_password = Flag()

    @validates_schema(skip_on_field_errors=False)
    def _check_password(self, data: dict[str, Any], **_: Any) -> None:
        if not any(way in data for way in _WAYS_TO_A_PASSWORD):
            names = ", ".join(_WAYS_TO_A_PASSWORD)
            raise ValidationError(f"{names} are missing, at least one parameter must be provided")

    @post_load
    def _value(self, data: dict[str, Any], **_: Any) -> NewUser:
        # Both flags must be taken out.
        without = [data.pop(way, False) for way in _WAYS_TO_A_PASSWORD[1:]]
        if "password" not in data and not any(without):
            raise InvalidRecord("password", "can't be blank")
        return NewUser(profile=_taken_profile(data), **data)


def _taken_profile(data: dict[str, Any]) -> dict[str, Any]:
    given = [name for name in (*PROFILE_TEXTS, *PROFILE_FLAGS) if name in data]
    profile = {name: data.pop(name) for name in given}
    return {
        name: "" if value is None and name not in _MAY_BE_NULL else value
        for name, value in profile.items()
    }
