"""The secret of a client: made anew, and shown in the answer alone."""

from __future__ import annotations

import shlex

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.errors import SentTwice
from tokensrv.http.context import origin, settings, store
from tokensrv.services import submissions
from tokensrv.services.directory import clients
from tokensrv.services.records import NewClient
from tokensrv.web import cookies
from tokensrv.web.admin.clients.changes import ask
from tokensrv.web.forms import Form
from tokensrv.web.rendering import page

bp = Blueprint("client_secret", __name__, url_prefix="/admin/clients/<client_id>/rotate_secret")


@bp.get("")
def show(client_id: str) -> ResponseReturnValue:
    """Ask whether a new one is wanted."""
    return ask(
        clients.get(store(), client_id),
        question="Rotate the secret of this client?",
        verb="Rotate secret",
        consequence=(
            "It gets a new secret, which you see once.",
            "The secret that it has now stays valid until you rotate again, so that nothing stops"
            " while the new one is put in place. If the old one has leaked, rotate twice.",
        ),
        fields=[("submission", submissions.new())],
    )


@bp.post("")
def rotate(client_id: str) -> ResponseReturnValue:
    """Make it, once, however often the form is sent."""
    submission = Form(request.form).text("submission") or None
    try:
        new = clients.rotate_secret(store(), origin(), client_id, submission=submission)
    except SentTwice:
        cookies.leave_notice(
            "The form was sent twice: the secret was rotated once. The new one stood in the first"
            " answer; if you did not get it, rotate again, which ends the one before it."
        )
        return redirect(url_for("web.client.show", client_id=client_id), 303)
    return show_once(new)


def show_once(new: NewClient, status: int = 200) -> ResponseReturnValue:
    """Return the page with the secret of a client; one without is shown as it always is."""
    client_id = new.record.client_id
    if new.secret is None:
        cookies.leave_notice("The client was created.")
        return redirect(url_for("web.client.show", client_id=client_id), 303)
    url = f"{settings().external_url}/oauth/introspect"
    user, question = f"{client_id}:{new.secret}", "token=TOKEN"
    return page(
        "admin/clients/secret.html",
        status,
        client=new.record,
        secret_value=new.secret,
        is_new=status == 201,
        curl=shlex.join(["curl", "--user", user, "--data", question, url]),
    )
