"""One's own recovery codes, made anew."""

from __future__ import annotations

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue

from tokensrv.http import context
from tokensrv.services.account.factors import recovery_codes
from tokensrv.web.admission import current
from tokensrv.web.rendering import page
from tokensrv.web.settings.account import overview

bp = Blueprint("recovery_codes", __name__, url_prefix="/-/user_settings/account/recovery_codes")


@bp.get("")
def ask() -> ResponseReturnValue:
    """Ask whether to make new ones."""
    return page(
        "confirm.html",
        layout="settings/layout.html",
        question="Make new recovery codes?",
        consequence=["The codes that you have now will not count any more."],
        verb="Make new codes",
        back=url_for("web.account.show"),
    )


@bp.post("")
def make() -> ResponseReturnValue:
    """Make new ones, and show them once."""
    changed = recovery_codes.regenerate(context.store(), context.origin(), current())
    return overview.after(changed, "These are your new codes. Those before them count no more.")
