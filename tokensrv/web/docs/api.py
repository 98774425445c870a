"""The page of the API: every operation with what it takes and gives, and a form to try it.

The page is complete without scripts; trying an operation is what the script adds.
"""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue

from tokensrv.http import context
from tokensrv.web.docs import reference
from tokensrv.web.rendering import page

bp = Blueprint("docs", __name__, url_prefix="/docs")


@bp.get("")
def show() -> ResponseReturnValue:
    """Show all operations."""
    document = context.openapi()
    return page(
        "docs.html",
        address=context.settings().external_url,
        groups=reference.groups(document),
        objects=reference.objects(document),
        version=document["info"]["version"],
    )
