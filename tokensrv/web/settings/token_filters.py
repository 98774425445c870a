"""Filters of one's own tokens: what the address asks for, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import request

from tokensrv.clock import midnight
from tokensrv.domain.facts import TokenKind
from tokensrv.domain.texts import is_storable
from tokensrv.services.lifecycle.token_lists import SOONEST, TokenFilter
from tokensrv.web.forms import Form

STATES: Final = (("active", "Active"), ("inactive", "Inactive"), ("all", "All"))
REVOKED: Final = (("", "Any"), ("true", "Yes"), ("false", "No"))
SORTS: Final = (
    (SOONEST, "Expiry: soonest"),
    ("expires_desc", "Expiry: latest"),
    ("created_desc", "Created: newest"),
    ("created_asc", "Created: oldest"),
    ("last_used_desc", "Last used: latest"),
    ("last_used_asc", "Last used: oldest"),
    ("name_asc", "Name: A to Z"),
    ("name_desc", "Name: Z to A"),
)
# Those that are rarely wanted; each filters from a day on, or before it.
DAYS: Final = (
    ("created_after", "Created from"),
    ("created_before", "Created before"),
    ("expires_after", "Expires from"),
    ("expires_before", "Expires before"),
    ("last_used_after", "Last used from"),
    ("last_used_before", "Last used before"),
)
_STATE: Final = "active"
_NAMES: Final = ("search", "revoked", *(name for name, _ in DAYS))
_IS_ACTIVE: Final = {"active": True, "inactive": False, "all": None}
_IS_REVOKED: Final = {"true": True, "false": False, "": None}


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for, as it stands in the address."""

    form: Form

    @property
    def sort(self) -> str:
        """Return how to sort: soonest expiry first unless the address says something else."""
        return self.form.text("sort")

    @property
    def is_default(self) -> bool:
        """Return whether nothing is filtered but that dead tokens are left out."""
        is_on = any(self.form.text(name) for name in _NAMES)
        return self.form.text("state") == _STATE and not is_on

    @property
    def has_days(self) -> bool:
        """Return whether a filter by day is on, or wrong."""
        return any(self.form.text(name) for name, _ in DAYS)

    def filter(self, user_id: int) -> TokenFilter:
        """Return the filter for this user's own tokens; what makes no sense becomes an error."""
        form = self.form
        return TokenFilter(
            user_id=user_id,
            kind=TokenKind.PERSONAL,
            search=_search(form),
            is_active=_chosen(form, "state", _IS_ACTIVE),
            is_revoked=_chosen(form, "revoked", _IS_REVOKED),
            created_after=_moment(form, "created_after"),
            created_before=_moment(form, "created_before"),
            expires_after=form.day("expires_after"),
            expires_before=form.day("expires_before"),
            last_used_after=_moment(form, "last_used_after"),
            last_used_before=_moment(form, "last_used_before"),
        )


def asked() -> Asked:
    """Return what this request asks for."""
    return Asked(Form(request.args, defaults={"state": _STATE, "sort": SOONEST}))


def _search(form: Form) -> str:
    text = form.text("search")
    if is_storable(text):
        return text
    form.refuse("search", "Nothing can be called so.")
    return ""


def _chosen(form: Form, name: str, choices: Mapping[str, bool | None]) -> bool | None:
    text = form.text(name)
    if text not in choices:
        form.refuse(name, "There is no such choice.")
    return choices.get(text)


def _moment(form: Form, name: str) -> datetime | None:
    day = form.day(name)
    return None if day is None else midnight(day)
