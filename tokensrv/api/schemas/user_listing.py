"""Lists of users: GitLab's many filters, and the few that mean something here.

Every user is human, has no project, no identity elsewhere and no second factor; so a filter
either lets all of them through or none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from marshmallow import ValidationError, post_load, validates_schema

from tokensrv.api.schemas.fields import SEARCH, Flag, Moment, Text, one_of
from tokensrv.api.schemas.paging import Paged, taken_page
from tokensrv.services.directory.user_lists import ORDERS, UserFilter
from tokensrv.services.pages import PageRequest

# No user is called so.
NOBODY: Final = UserFilter(username="")

_ADMINS_ONLY: Final = ("order_by", "sort", "two_factor", "created_before", "created_after")


@dataclass(frozen=True, slots=True)
class UserListing:
    """The list that somebody wants; ``asked`` are its filters as they were given."""

    asked: dict[str, Any]
    page: PageRequest
    is_keyset: bool
    cursor: str | None

    @property
    def asks_for_identity(self) -> bool:
        """Return whether it is about identities elsewhere, which only admins may ask for."""
        return "extern_uid" in self.asked

    @property
    def order_by(self) -> str:
        """Return by what to order."""
        return str(self.asked.get("order_by", "id"))

    @property
    def is_descending(self) -> bool:
        """Return whether the largest comes first, as it does unless somebody wants otherwise."""
        return str(self.asked.get("sort", "desc")) == "desc"

    def for_everybody(self) -> UserListing:
        """Return the list without what only admins may ask for, which is silently dropped."""
        asked = {name: self.asked[name] for name in self.asked if name not in _ADMINS_ONLY}
        return UserListing(asked, self.page, self.is_keyset, self.cursor)

    def filter(self, *, by_private_email: bool) -> UserFilter:
        """Return the filter for the services."""
        asked = self.asked
        if _wants_nobody(asked):
            return NOBODY
        two_factor = asked.get("two_factor")
        return UserFilter(
            username=asked.get("username"),
            search=asked.get("search", ""),
            by_private_email=by_private_email,
            is_active=_either(asked, "active"),
            is_blocked=True if asked.get("blocked") else None,
            is_external=_either(asked, "external"),
            only_admins=asked.get("admins", False),
            has_two_factor=None if two_factor is None else two_factor == "enabled",
            created_before=asked.get("created_before"),
            created_after=asked.get("created_after"),
        )


class ListUsers(Paged):
    """The parameters of ``GET /users``."""

    username = Text()
    search = Text(validate=SEARCH)
    active = Flag()
    blocked = Flag()
    external = Flag()
    humans = Flag()
    exclude_active = Flag()
    exclude_external = Flag()
    exclude_humans = Flag()
    exclude_internal = Flag()
    without_project_bots = Flag()
    admins = Flag()
    extern_uid = Text()
    provider = Text()
    order_by = Text(validate=one_of(*ORDERS))
    sort = Text(validate=one_of("asc", "desc"))
    two_factor = Text(validate=one_of("enabled", "disabled"))
    without_projects = Flag()
    created_before = Moment()
    created_after = Moment()
    pagination = Text(validate=one_of("offset", "legacy", "keyset"))
    cursor = Text()

    @validates_schema(skip_on_field_errors=False)
    def _check_identity(self, data: dict[str, Any], **_: Any) -> None:
        if ("extern_uid" in data) != ("provider" in data):
            raise ValidationError("extern_uid, provider provide all or none of parameters")

    @post_load
    def _value(self, data: dict[str, Any], **_: Any) -> UserListing:
        page, cursor = taken_page(data), data.pop("cursor", None)
        return UserListing(data, page, data.pop("pagination", None) == "keyset", cursor)


def _wants_nobody(asked: dict[str, Any]) -> bool:
    contradicts = any(
        asked.get(name) and asked.get(f"exclude_{name}") for name in ("active", "external")
    )
    return contradicts or asked.get("exclude_humans", False) or "extern_uid" in asked


def _either(asked: dict[str, Any], name: str) -> bool | None:
    """Return what a flag and its ``exclude_`` ask for; a false one asks for nothing."""
    if asked.get(name):
        return True
    return False if asked.get(f"exclude_{name}") else None
