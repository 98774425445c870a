"""The list of users: searched, filtered and sorted by what the address says."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from tokensrv.domain.facts import UserState
from tokensrv.domain.texts import is_storable
from tokensrv.http.context import store
from tokensrv.services.directory import user_lists
from tokensrv.services.directory.profiles import TEXT_LENGTH
from tokensrv.services.directory.user_lists import ORDERS, UserFilter
from tokensrv.web.forms import Form
from tokensrv.web.paging import page_request
from tokensrv.web.rendering import page

bp = Blueprint("users", __name__, url_prefix="/admin/users")

_STATES: Final = {state.value: state for state in UserState}
_TWO_FACTOR: Final = {"enabled": True, "disabled": False}
_FILTERS: Final = ("search", "state", "role", "two_factor")
_SORT: Final = "created_at_desc"


@bp.get("")
def show() -> ResponseReturnValue:
    """Show the users that are looked for, the newest first."""
    asked = Form(request.args, defaults={"sort": _SORT})
    wanted, at = _filter(asked), page_request(asked)
    order_by, is_descending = _order(asked.text("sort"))
    found = user_lists.list_users(
        store(), wanted, order_by=order_by, is_descending=is_descending, page=at
    )
    return page(
        "admin/users/list.html",
        200 if asked.is_good else 422,
        form=asked,
        users=found,
        secured=user_lists.with_two_factor(store(), [user.id for user in found.items]),
        sort=f"{order_by}_{'desc' if is_descending else 'asc'}",
        is_filtered=any(asked.text(name) for name in _FILTERS),
    )


def _filter(asked: Form) -> UserFilter:
    return UserFilter(
        search=_search(asked),
        by_private_email=True,
        state=_STATES.get(asked.text("state")),
        only_admins=asked.text("role") == "admins",
        has_two_factor=_TWO_FACTOR.get(asked.text("two_factor")),
    )


def _search(asked: Form) -> str:
    text = asked.text("search")
    if len(text) <= TEXT_LENGTH and is_storable(text):
        return text
    asked.refuse("search", "Nobody is called like that.")
    return ""


def _order(sort: str) -> tuple[str, bool]:
    name, _, direction = sort.rpartition("_")
    return (name, direction == "desc") if name in ORDERS else ("created_at", True)
