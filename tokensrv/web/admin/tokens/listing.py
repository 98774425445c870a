"""The inventory: the tokens of all users, filtered and sorted by what the address says."""

from __future__ import annotations

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from tokensrv.clock import today
from tokensrv.domain import scopes
from tokensrv.http.context import settings, store
from tokensrv.services.reports import inventory
from tokensrv.services.reports.token_statistics import soon
from tokensrv.web.admin.tokens import filters
from tokensrv.web.paging import SIZES, page_request
from tokensrv.web.rendering import page

bp = Blueprint("inventory", __name__, url_prefix="/admin/tokens")


@bp.get("")
def show() -> ResponseReturnValue:
    """Show the tokens that are looked for; without any filter the active ones, newest first."""
    asked = filters.form_of(request.args)
    wanted, part = filters.read(store(), asked), page_request(asked)
    names = scopes.available(settings().extra_scopes)
    found = None
    if asked.is_good:
        found = inventory.find(store(), wanted, sort=asked.text("sort"), page=part)
    return page(
        "admin/tokens/list.html",
        200 if found else 422,
        form=asked,
        found=found,
        scope_options=[("", "Any scope"), *zip(names, names, strict=True)],
        query=filters.query_of(request.args),
        soon=soon(today(store().clock)),
        has_days=any(asked.text(name) for name in filters.DAYS),
        given=filters.given(asked),
        sizes=SIZES,
        looked_through=inventory.LOOKED_THROUGH,
    )
