"""The authenticator app: set up with a QR code or a typed key, and removed."""

from __future__ import annotations

import segno
from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from werkzeug.exceptions import NotFound

from tokensrv.errors import Invalid
from tokensrv.http import context
from tokensrv.services.account.factors import totp
from tokensrv.services.account.factors.totp import TotpSetup
from tokensrv.web.admission import current
from tokensrv.web.forms import Form
from tokensrv.web.rendering import page
from tokensrv.web.settings.account import overview

bp = Blueprint("authenticator", __name__, url_prefix="/-/user_settings/account/authenticator")


@bp.post("")
def begin() -> ResponseReturnValue:
    """Show a new secret to the user's app, and ask for its first code."""
    setup = totp.begin(context.store(), context.origin(), current())
    return _draw(setup, Form(request.form))


@bp.post("/confirm")
def confirm() -> ResponseReturnValue:
    """Take the first code, or show the same secret again."""
    store, form = context.store(), Form(request.form)
    try:
        changed = totp.confirm(store, context.origin(), current(), form.text("code"))
    except Invalid as refused:
        form.refuse_by(refused)
        setup = totp.pending(store, current())
        if setup is None:
            raise NotFound from None
        return _draw(setup, form, 422)
    return overview.after(changed, "From now on a code of your app is asked for at sign-in.")


@bp.get("/remove")
def ask_remove() -> ResponseReturnValue:
    """Ask whether to remove the app."""
    return page(
        "confirm.html",
        layout="settings/layout.html",
        question="Remove your authenticator app?",
        consequence=[
            "Its codes will not be asked for any more.",
            "Without a second factor your password alone opens your account.",
        ],
        verb="Remove",
        is_bad=True,
        back=url_for("web.account.show"),
    )


@bp.post("/remove")
def remove() -> ResponseReturnValue:
    """Remove the app."""
    changed = totp.remove(context.store(), context.origin(), current())
    return overview.after(changed, "Your authenticator app is removed.")


def _draw(setup: TotpSetup, form: Form, status: int = 200) -> Response:
    # Attributes only: a style would be refused by our own policy.
    drawn = segno.make(setup.uri, error="m").svg_inline(
        omitsize=True, border=2, svgclass="qr", lineclass=None, title="QR code of the key below"
    )
    return page(
        "settings/authenticator.html",
        status,
        form=form,
        key=setup.secret,
        qr=Markup(drawn),  # noqa: S704  # It holds numbers, and the title above.
    )
