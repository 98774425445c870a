"""Impersonation tokens of a user: made by admins to act as him, and hidden from him.

The answer to the form, which stands at the address of the list, is the one place that holds a
secret.
"""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.domain.facts import TokenKind
from tokensrv.errors import NotFound, SentTwice
from tokensrv.http.context import caller, origin, store
from tokensrv.services.directory import users
from tokensrv.services.lifecycle import minting, token_lists, tokens
from tokensrv.services.lifecycle.token_lists import TokenFilter
from tokensrv.services.records import TokenRecord, UserRecord
from tokensrv.web import cookies
from tokensrv.web.admin.users.questions import ask
from tokensrv.web.forms import REFUSALS, Form
from tokensrv.web.paging import page_request
from tokensrv.web.rendering import page
from tokensrv.web.tokens.form import offer, prefilled, wish
from tokensrv.web.tokens.reveal import reveal

bp = Blueprint(
    "impersonation_tokens", __name__, url_prefix="/admin/users/<id:user_id>/impersonation_tokens"
)

_KIND: Final = TokenKind.IMPERSONATION


@bp.get("")
def show(user_id: int) -> ResponseReturnValue:
    """List them, the newest first."""
    user = users.get(store(), user_id)
    found = token_lists.list_tokens(
        store(),
        caller(),
        TokenFilter(user_id=user.id, kind=_KIND),
        sort="created_desc",
        page=page_request(Form(request.args)),
    )
    return page("admin/users/impersonation_tokens.html", user=user, tokens=found)


@bp.get("/new")
def new(user_id: int) -> ResponseReturnValue:
    """Show the form, filled in as the address says. Nothing is made."""
    return _form(users.get(store(), user_id), prefilled())


@bp.post("")
def create(user_id: int) -> ResponseReturnValue:
    """Make a token and show its secret, once."""
    user, form = users.get(store(), user_id), Form(request.form)
    wanted, submission = wish(form, kind=_KIND), form.raw("submission") or None
    if not form.is_good:
        return _form(user, form, 422)
    back = url_for(".show", user_id=user.id)
    try:
        made = minting.create_for_user(store(), origin(), user.id, wanted, submission=submission)
    except SentTwice:
        return page("admin/users/sent_twice.html", 409, back=back)
    except REFUSALS as refused:
        form.refuse_by(refused)
        return _form(user, form, 422)
    template = "admin/users/new_secret.html"
    return reveal(made, user.username, template=template, back=back, is_rotated=False)


@bp.get("/<id:token_id>/revoke")
def ask_revocation(user_id: int, token_id: int) -> ResponseReturnValue:
    """Ask whether to revoke a token."""
    user, token = users.get(store(), user_id), _token(user_id, token_id)
    return ask(
        user,
        question="Revoke this impersonation token?",
        verb="Revoke",
        more_facts=(("Token", token.name), ("Scopes", ", ".join(token.scopes))),
        consequence=("Whatever uses it is refused from that moment on. This cannot be undone.",),
        is_bad=True,
        back=url_for(".show", user_id=user.id),
        form=Form(request.args),
        asks_reason=False,
    )


@bp.post("/<id:token_id>/revoke")
def revoke(user_id: int, token_id: int) -> ResponseReturnValue:
    """Revoke it; once more it changes nothing."""
    token, reason = _token(user_id, token_id), Form(request.form).text("reason")
    tokens.revoke(store(), origin(), token.id, reason=reason or None)
    cookies.leave_notice("The token is revoked.")
    return redirect(url_for(".show", user_id=user_id), 303)


def _token(user_id: int, token_id: int) -> TokenRecord:
    """Return one of a user's impersonation tokens; raises NotFound for any other token."""
    token = tokens.get(store(), caller(), token_id)
    if token.user_id != user_id or token.kind != _KIND:
        raise NotFound("Token")
    return token


def _form(user: UserRecord, form: Form, status: int = 200) -> Response:
    return page(
        "admin/users/new_impersonation_token.html",
        status,
        user=user,
        form=form,
        offer=offer(form, is_admin=user.is_admin),
    )
