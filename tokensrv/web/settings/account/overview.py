"""The account page: what protects an account, and where its user is signed in.

Each thing that can be changed has a module and a page of its own.
"""

from __future__ import annotations

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from tokensrv.http import context
from tokensrv.services.account import second_factors, sessions
from tokensrv.services.account.factors import passkeys
from tokensrv.services.account.second_factors import FactorsChanged
from tokensrv.web import cookies
from tokensrv.web.admission import current
from tokensrv.web.rendering import page
from tokensrv.web.settings.account.browsers import in_words

bp = Blueprint("account", __name__, url_prefix="/-/user_settings/account")


@bp.get("")
def show() -> ResponseReturnValue:
    """Show everything of it."""
    store, user = context.store(), current().user
    return page(
        "settings/account.html",
        factors=second_factors.get(store, user.id),
        passkeys=passkeys.list_of(store, user.id),
        has_passkeys=passkeys.is_possible(store),
        sessions=sessions.list_of(store, user.id),
        here_id=current().session.id,
        in_words=in_words,
    )


def after(changed: FactorsChanged, said: str) -> ResponseReturnValue:
    """Answer a change of second factors: with the codes that it made, or the account page."""
    cookies.keep_session(changed.session)
    if changed.recovery_codes:
        return page("settings/recovery_codes.html", codes=changed.recovery_codes, done=said)
    return back(said)


def back(said: str) -> ResponseReturnValue:
    """Lead back to the account page, which says what was done."""
    cookies.leave_notice(said)
    return redirect(url_for("web.account.show"), 303)
