"""The inventory as a file for spreadsheets, with the same filters."""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.http.context import store
from tokensrv.services.reports import inventory, token_exports
from tokensrv.web.admin.tokens import filters
from tokensrv.web.downloads import download

bp = Blueprint("inventory_export", __name__, url_prefix="/admin/tokens/export")


@bp.get("")
def show() -> ResponseReturnValue:
    """Send the tokens that are looked for, the oldest first, while they are read."""
    asked = filters.form_of(request.args)
    wanted = filters.read(store(), asked)
    if not asked.is_good:
        # The list says what is wrong.
        query = filters.query_of(request.args)
        return redirect(f"{url_for('web.inventory.show')}?{query}", 303)
    lines = token_exports.csv_lines(inventory.each(store(), wanted))
    return download(lines, "tokens.csv", "text/csv")
