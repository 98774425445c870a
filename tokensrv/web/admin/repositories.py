"""The rules for repositories: listed, added and removed, on one page."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.http.context import origin, store
from tokensrv.services import repositories
from tokensrv.services.directory import users
from tokensrv.services.repositories import RuleRecord
from tokensrv.web import cookies
from tokensrv.web.forms import REFUSALS, Form
from tokensrv.web.paging import page_request
from tokensrv.web.rendering import page

bp = Blueprint("repositories", __name__, url_prefix="/admin/repositories")

# Values and words of what a rule may allow.
_ACCESS: Final = {"read": "Read", "write": "Read and write"}
_DEFAULTS: Final = {"access": "read"}
_ONLY: Final = "It is the only one: whatever it does not allow is closed to everybody now."
_OPEN: Final = "Without any rule everybody may use every repository, as far as his scopes go."
_CLOSED: Final = "The user may use such repositories no more, unless another rule allows it."


@bp.get("")
def show() -> ResponseReturnValue:
    """Show the rules; the address may fill in the form for a new one."""
    return _draw(Form(request.args, defaults=_DEFAULTS))


@bp.post("")
def add() -> ResponseReturnValue:
    """Add one. Sent twice it makes one, since a user has one for a prefix."""
    form = Form(request.form, defaults=_DEFAULTS)
    rule = _added(form)
    if rule is None:
        return _draw(form, 422)
    is_only = repositories.count(store()) == 1
    cookies.leave_notice(f"The rule was added. {_ONLY}" if is_only else "The rule was added.")
    return redirect(url_for("web.repositories.show"), 303)


@bp.get("/<id:rule_id>/remove")
def ask_removal(rule_id: int) -> ResponseReturnValue:
    """Ask whether it is wanted, and say what follows."""
    rule = repositories.get(store(), rule_id)
    is_last = repositories.count(store()) == 1
    return page(
        "confirm.html",
        layout="admin/layout.html",
        question="Remove the last rule?" if is_last else "Remove this rule?",
        verb="Remove",
        is_bad=True,
        facts=(
            ("Prefix", rule.prefix),
            ("User", rule.username or "Deleted"),
            ("Access", _ACCESS[rule.access]),
        ),
        consequence=(_OPEN if is_last else _CLOSED,),
        back=url_for("web.repositories.show"),
    )


@bp.post("/<id:rule_id>/remove")
def remove(rule_id: int) -> ResponseReturnValue:
    """Remove it."""
    repositories.remove(store(), origin(), rule_id)
    is_open = repositories.count(store()) == 0
    cookies.leave_notice(f"The rule was removed. {_OPEN}" if is_open else "The rule was removed.")
    return redirect(url_for("web.repositories.show"), 303)


def _added(form: Form) -> RuleRecord | None:
    """Return the rule that the form asks for; None when it is refused, as the form then says."""
    user = users.find(store(), form.text("username"))
    if user is None:
        form.refuse("username", "There is no such user.")
        return None
    try:
        return repositories.add(
            store(),
            origin(),
            prefix=form.text("prefix"),
            user_id=user.id,
            access=form.text("access"),
        )
    except REFUSALS as refused:
        form.refuse_by(refused)
        return None


def _draw(form: Form, status: int = 200) -> Response:
    asked = Form(request.args)
    found = repositories.list_page(store(), page_request(asked, usual=100))
    return page("admin/repositories.html", status, form=form, found=found, access=_ACCESS)
