"""Forms of a user: how much of him is shown to whom, in GitLab's keys.

Basic in lists, the profile to other users, more of it to himself, everything to admins. Keys of
GitLab's that mean nothing here are constants of one table.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any, Final, cast

from marshmallow import fields

from tokensrv.api.schemas.base import Wire
from tokensrv.api.schemas.fields import Moment, constants
from tokensrv.db import Store
from tokensrv.domain.facts import UserFacts
from tokensrv.services.directory import user_lists
from tokensrv.services.records import UserRecord

Form = dict[str, Any]

_MEANINGLESS: Final[dict[str, dict[str, Any]]] = {
    "basic": {"locked": False, "avatar_url": None},
    "profile": {
        "skype": "",
        "linkedin": "",
        "twitter": "",
        "discord": "",
        "pronouns": None,
        "bot": False,
        "work_information": None,
        "followers": 0,
        "following": 0,
        "local_time": None,
    },
    "own": {
        "last_sign_in_at": None,
        "current_sign_in_at": None,
        "theme_id": 1,
        "color_scheme_id": 1,
        "projects_limit": 0,
        "identities": [],
        "can_create_group": False,
        "can_create_project": False,
    },
    "admin": {
        "namespace_id": None,
        "email_reset_offered_at": None,
        "current_sign_in_ip": None,
        "last_sign_in_ip": None,
        "sign_in_count": 0,
    },
}


class BasicUser(Wire):
    """A user as he stands in lists."""

    id = fields.Integer()
    username = fields.String()
    name = fields.String()
    state = fields.String()
    web_url = fields.String()
    public_email = fields.String()

    class Meta(Wire.Meta):
        """Keys that mean nothing here."""

        include = constants(_MEANINGLESS["basic"])


class UserProfile(BasicUser):
    """A user as other users see him."""

    created_at = Moment()
    bio = fields.String()
    location = fields.String(allow_none=True)
    website_url = fields.String()
    organization = fields.String()
    job_title = fields.String()
    # Said of other users only; nobody can be followed.
    is_followed = fields.Boolean()

    class Meta(Wire.Meta):
        """Keys that mean nothing here."""

        include = constants(_MEANINGLESS["profile"])


class OwnUser(UserProfile):
    """A user as he sees himself."""

    # Nobody has to confirm an address, so it counts as confirmed from the start.
    confirmed_at = Moment(attribute="created_at", dump_only=True)
    last_activity_on = fields.Function(
        lambda user: user["last_activity_at"] and user["last_activity_at"].date().isoformat(),
        metadata={"type": ["string", "null"], "format": "date"},
    )
    email = fields.String()
    commit_email = fields.String(attribute="email", dump_only=True)
    external = fields.Boolean()
    private_profile = fields.Boolean()
    two_factor_enabled = fields.Boolean()

    class Meta(Wire.Meta):
        """Keys that mean nothing here."""

        include = constants(_MEANINGLESS["own"])


class AdminUser(OwnUser):
    """A user as admins see him."""

    is_admin = fields.Boolean()
    note = fields.String(allow_none=True)
    created_by = fields.Nested(BasicUser, allow_none=True)

    class Meta(Wire.Meta):
        """Keys that mean nothing here."""

        include = constants(_MEANINGLESS["admin"])


_BASIC, _PROFILE, _OWN, _ADMIN = BasicUser(), UserProfile(), OwnUser(), AdminUser()


def admin_forms(store: Store, users: Sequence[UserRecord]) -> list[Form]:
    """Return users as admins see them, with who made each of them."""
    creator_ids = {user.created_by_id for user in users if user.created_by_id is not None}
    creators = user_lists.users_by_id(store, creator_ids)
    made_by: dict[int | None, Form] = {
        user_id: _with_url(store, creator) for user_id, creator in creators.items()
    }
    secured = user_lists.with_two_factor(store, {user.id for user in users})
    return [
        _own(_ADMIN, store, user, secured, created_by=made_by.get(user.created_by_id))
        for user in users
    ]


def own_form(store: Store, user: UserRecord) -> Form:
    """Return a user as he sees himself; an admin sees all of himself."""
    if user.is_admin:
        return admin_forms(store, [user])[0]
    return _own(_OWN, store, user, user_lists.with_two_factor(store, {user.id}))


def form_for(store: Store, viewer: UserFacts, user: UserRecord) -> Form:
    """Return a user as somebody, perhaps himself, sees him."""
    if viewer.is_admin:
        return admin_forms(store, [user])[0]
    followed = {} if viewer.id == user.id else {"is_followed": False}
    return cast(Form, _PROFILE.dump(_with_url(store, user, **followed)))


def listed_forms(store: Store, viewer: UserFacts, users: Sequence[UserRecord]) -> list[Form]:
    """Return users as they stand in somebody's list."""
    if viewer.is_admin:
        return admin_forms(store, users)
    return [cast(Form, _BASIC.dump(_with_url(store, user))) for user in users]


def _own(
    schema: OwnUser, store: Store, user: UserRecord, secured: Collection[int], **more: Any
) -> Form:
    more["two_factor_enabled"] = user.id in secured
    return cast(Form, schema.dump(_with_url(store, user, **more)))


def _with_url(store: Store, user: UserRecord, **more: Any) -> Form:
    return asdict(user) | {"web_url": f"{store.settings.external_url}/{user.username}"} | more
