"""One's own passkeys: added with a script, since only a browser can ask a device, and removed."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from tokensrv.errors import Invalid
from tokensrv.http import context
from tokensrv.services.account.factors import passkeys
from tokensrv.web.admission import current
from tokensrv.web.forms import Form
from tokensrv.web.rendering import page
from tokensrv.web.settings.account import overview
from tokensrv.web.settings.account.browsers import in_words

bp = Blueprint("passkeys", __name__, url_prefix="/-/user_settings/account/passkeys")

_TEMPLATE = "settings/passkey.html"


@bp.get("/new")
def new() -> ResponseReturnValue:
    """Ask for a name, and have the device make a passkey."""
    name = in_words(request.headers.get("User-Agent", ""))
    form = Form(request.args, defaults={"name": name[: passkeys.NAME_LENGTH]})
    return page(_TEMPLATE, form=form, is_possible=passkeys.is_possible(context.store()))


@bp.post("/options")
def options() -> ResponseReturnValue:
    """Say what a device must make."""
    wanted = passkeys.creation_options(context.store(), context.origin(), current())
    return Response(wanted, content_type="application/json")


@bp.post("")
def add() -> ResponseReturnValue:
    """Add what the device made."""
    form = Form(request.form)
    name, answer = form.text("name"), form.raw("passkey")
    try:
        changed = passkeys.add(context.store(), context.origin(), current(), name, answer)
    except Invalid as refused:
        form.refuse_by(refused)
        return page(_TEMPLATE, 422, form=form, is_possible=True)
    return overview.after(changed, "The passkey is added, and is asked for at sign-in.")


@bp.get("/<id:passkey_id>/remove")
def ask_remove(passkey_id: int) -> ResponseReturnValue:
    """Ask whether to remove a passkey."""
    mine = passkeys.list_of(context.store(), current().user.id)
    record = next((record for record in mine if record.id == passkey_id), None)
    if record is None:
        raise NotFound
    return page(
        "confirm.html",
        layout="settings/layout.html",
        question="Remove this passkey?",
        facts=[("Name", record.name)],
        consequence=["It will not be accepted any more, though the device may still offer it."],
        verb="Remove",
        is_bad=True,
        back=url_for("web.account.show"),
    )


@bp.post("/<id:passkey_id>/remove")
def remove(passkey_id: int) -> ResponseReturnValue:
    """Remove a passkey."""
    changed = passkeys.remove(context.store(), context.origin(), current(), passkey_id)
    return overview.after(changed, "The passkey is removed.")
