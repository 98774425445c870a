"""Admission: nobody reaches a page but those whom the table of pages lets in.

It finds the session, holds back forms that do not come from our own pages, and sends whoever
still has something to prove to the page where he can, and back afterwards.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final, cast
from urllib.parse import quote, urlencode

from flask import g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from tokensrv.clock import utcnow
from tokensrv.domain.secret import masked
from tokensrv.errors import StorageUnavailable
from tokensrv.http import context
from tokensrv.http.answers import bad_request, forbidden
from tokensrv.services.account import recognition
from tokensrv.services.account.sessions import Browser, Current, Stage
from tokensrv.web import cookies, csrf
from tokensrv.web.access import PAGES, Page

# No form is longer than this.
_FORM_BYTES: Final = 64 * 1024
# What comes back in an address is no longer than servers take, written as a parameter of another.
_QUERY_LENGTH: Final = 10_000
_STOP_ACTING: Final = "web.acting.stop"
# Where somebody goes whose sign-in has come so far.
_NEXT_STEP: Final = {
    Stage.SECOND_FACTOR: "web.verify.show",
    Stage.PASSWORD: "web.new_password.show",
    Stage.FULL: "web.home.show",
}


def admit() -> ResponseReturnValue | None:
    """Let the request in, or answer it in its view's stead."""
    page = PAGES.get(request.endpoint or "")
    if page is None:
        raise forbidden()
    if not request.query_string.isascii():
        # Browsers never send it, some servers let it through, and nobody could read it.
        raise bad_request("The address holds letters that no address can have.")
    if page.is_file:
        return None
    if "Sudo" in request.headers:
        # Nobody acts as somebody else by a header that a session happens to go with.
        raise forbidden("Sudo needs a personal access token, and the API.")
    is_form = request.method == "POST"
    if is_form:
        # Read here, so that every form has the same limit, and before the session is looked for:
        # whoever sends his form slowly gains no time by it.
        context.body(_FORM_BYTES)
    # Whatever is drawn when storage is away does not ask once more.
    g.current = None
    g.current = current = _find()
    if page.stage is not None and (away := _elsewhere(page, current)) is not None:
        return away
    if is_form:
        csrf.check()
    if current is None or page.stage is not Stage.FULL:
        return None
    return _let_in(page, current)


def current() -> Current:
    """Return the session of this request; raises ApiError (403) where there is none."""
    found = find_current()
    if found is None:
        raise forbidden()
    return found


def find_current() -> Current | None:
    """Return the session of this request, None when there is none.

    Where nobody was admitted, as on an address that no page has, it is looked for now.
    """
    if "current" not in g:
        g.current = None
        with suppress(StorageUnavailable):
            g.current = _find()
    return cast(Current | None, g.current)


def browser() -> Browser:
    """Return where this request comes from."""
    return Browser(context.remote_address(), request.headers.get("User-Agent", ""))


def _find() -> Current | None:
    secret = cookies.session_secret()
    return None if secret is None else recognition.find(context.store(), secret, browser())


def _elsewhere(page: Page, current: Current | None) -> ResponseReturnValue | None:
    """Return the way to the step that comes first, None when that is this page."""
    # On the way through the steps nobody forgets where he wanted to go.
    wanted = request.args.get("next")
    if wanted is None and page.stage is Stage.FULL:
        wanted = _way_back(page)
    if current is None:
        return redirect(url_for("web.sign_in.show", next=wanted), 303)
    stage = current.session.stage
    return None if stage is page.stage else redirect(url_for(_NEXT_STEP[stage], next=wanted), 303)


def _let_in(page: Page, current: Current) -> ResponseReturnValue | None:
    if current.caller is None and request.endpoint != _STOP_ACTING:
        raise forbidden("You can no longer act as this user. Stop impersonating to go on.")
    g.caller = current.caller
    if current.is_impersonating and not page.acting:
        raise forbidden("This is not possible while you act as another user.")
    if page.admin and not current.subject.is_admin:
        raise NotFound
    if page.fresh and not current.is_fresh(utcnow(context.store().clock)):
        return redirect(url_for("web.confirm.show", next=_way_back(page)), 303)
    return None


def _way_back(page: Page) -> str:
    """Return the address at which somebody finds again what he was at, his form filled in."""
    path, query = request.path, ""
    if request.method in {"GET", "HEAD"}:
        query = request.query_string.decode()
    elif page.form is not None:
        path = url_for(page.form, **(request.view_args or {}))
        query = _kept(page.keeps)
    return f"{path}?{query}" if 0 < len(query) <= _QUERY_LENGTH else path


def _kept(names: tuple[str, ...]) -> str:
    """Return these fields of the form as a query, without the longest if all are too long.

    What was emptied comes back as well: it may have been filled in before.
    """
    # People paste secrets where something else belongs, and this becomes an address.
    fields = [(name, masked(value)) for name in names for value in request.form.getlist(name)]
    by_length = sorted(fields, key=lambda field: len(quote(field[1])))
    while len(quote(urlencode(fields))) > _QUERY_LENGTH:
        fields.remove(by_length.pop())
    return urlencode(fields)
