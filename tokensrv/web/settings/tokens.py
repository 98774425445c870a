"""The list of one's own tokens: those that an administrator made to act as him are not in it."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.clock import today
from tokensrv.http import context
from tokensrv.services.account import calendar
from tokensrv.services.lifecycle import token_lists
from tokensrv.services.reports.token_statistics import soon, token_statistics
from tokensrv.web.paging import page_request
from tokensrv.web.rendering import page
from tokensrv.web.settings import token_filters

bp = Blueprint("tokens", __name__, url_prefix="/-/user_settings/personal_access_tokens")

# Of a link that fills in the form of a new token, as GitLab's documentation writes them; none of
# them is a filter.
_FILLS_IN: Final = frozenset({"name", "description", "scopes"})

# As many as in GitLab's list.
_PER_PAGE: Final = 10


@bp.get("")
def show() -> ResponseReturnValue:
    """List them as the address says: without any filter those that are active.

    GitLab's links that fill in the form of a new token lead here, and on to that form.
    """
    if not _FILLS_IN.isdisjoint(request.args):
        filled = urlencode(list(request.args.items(multi=True)))
        return redirect(f"{url_for('web.new_token.show')}?{filled}", 303)
    store, caller = context.store(), context.caller()
    asked, user_id = token_filters.asked(), caller.subject.id
    wanted, at = asked.filter(user_id), page_request(asked.form, usual=_PER_PAGE)
    return page(
        "settings/tokens.html",
        200 if asked.form.is_good else 422,
        asked=asked,
        choices=token_filters,
        found=token_lists.list_tokens(store, caller, wanted, sort=asked.sort, page=at),
        statistics=token_statistics(store, user_id),
        soon=soon(today(store.clock)),
        feed_made_at=calendar.made_at(store, user_id),
    )
