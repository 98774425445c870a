"""One's own SSH keys: listed, added, removed behind a question."""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.errors import InvalidRecord
from tokensrv.http import context
from tokensrv.services.keys import public_keys, ssh_key_minting, ssh_keys
from tokensrv.services.keys.ssh_key_minting import KeyWish
from tokensrv.web import cookies
from tokensrv.web.forms import REFUSALS, Form
from tokensrv.web.paging import page_request
from tokensrv.web.rendering import exact, page
from tokensrv.web.tokens.form import offer

bp = Blueprint("ssh_keys", __name__, url_prefix="/-/user_settings/ssh_keys")


@bp.get("")
def show() -> ResponseReturnValue:
    """List them, the oldest first."""
    user_id, at = context.caller().subject.id, page_request(Form(request.args))
    return page("settings/ssh_keys.html", found=ssh_keys.list_keys(context.store(), user_id, at))


@bp.get("/new")
def new() -> ResponseReturnValue:
    """Show the form, filled in as the address says, but for the key. Nothing is added."""
    # A link could put a stranger's key there, and nobody sees by looking at one whose it is.
    return _ask(Form(request.args), 200)


@bp.post("")
def add() -> ResponseReturnValue:
    """Add a key."""
    form, user_id = Form(request.form), context.caller().subject.id
    day = form.day("expires_at")
    wish = KeyWish(key=form.text("key"), title=form.text("title"), expires_on=day)
    if not form.is_good:
        return _ask(form, 422, _readable(form))
    try:
        ssh_key_minting.add(context.store(), context.origin(), user_id, wish)
    except REFUSALS as problem:
        form.refuse_by(problem)
        return _ask(form, 422, _readable(form))
    cookies.leave_notice("The key is added.")
    return redirect(url_for(".show"), 303)


@bp.get("/<id:key_id>/remove")
def ask_remove(key_id: int) -> ResponseReturnValue:
    """Ask whether to remove a key."""
    key = ssh_keys.get(context.store(), context.caller().subject.id, key_id)
    return page(
        "confirm.html",
        layout="settings/layout.html",
        question="Remove this SSH key?",
        verb="Remove",
        is_bad=True,
        facts=[
            ("Title", key.title),
            ("Fingerprint", key.fingerprint),
            ("Last used", "Never" if key.last_used_at is None else exact(key.last_used_at)),
        ],
        consequence=["Whatever uses it is refused from that moment on."],
        back=url_for(".show"),
    )


@bp.post("/<id:key_id>/remove")
def remove(key_id: int) -> ResponseReturnValue:
    """Remove it."""
    ssh_keys.remove(context.store(), context.origin(), context.caller().subject.id, key_id)
    cookies.leave_notice("The key is removed.")
    return redirect(url_for(".show"), 303)


def _ask(form: Form, status: int, key: str = "") -> ResponseReturnValue:
    offered = offer(form, is_admin=False)
    return page("settings/new_ssh_key.html", status, form=form, offer=offered, key=key)


def _readable(form: Form) -> str:
    """Return the key that was pasted, nothing for what is none: it may be a private one."""
    try:
        key = public_keys.read(form.raw("key"))
    except InvalidRecord:
        return ""
    return f"{key.text} {key.comment}".rstrip()
