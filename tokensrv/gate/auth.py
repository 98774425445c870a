"""Forward-auth: whether a request may go on to what stands behind a proxy.

It owns the route and the one way from a WSGI environment to who enters, which the fast path
(``gate.fastpath``) goes as well. What a proxy asks is ``gate.forwarded``, what it is told
``gate.answers``, who may enter ``services.gates``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from flask import Flask, Response, current_app, request
from werkzeug.routing import BaseConverter

from tokensrv.db import Store
from tokensrv.domain.gates import Entry, Gate, NoEntry, Obstacle
from tokensrv.gate import answers, credential, forwarded, visits
from tokensrv.gate.credential import Unreadable
from tokensrv.gate.forwarded import PATH, Asked
from tokensrv.http import context, wsgi
from tokensrv.lookup import Lookup
from tokensrv.services.gates import entry, turned_away
from tokensrv.services.gates.visit import Visit
from tokensrv.services.metering.metrics import Metrics
from tokensrv.services.trail.usage import Usage

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Where the fast path leaves whom it did not let in.
FOUND: Final = "tokensrv.gate"

_ENDPOINT: Final = "gate.auth"
_EXTENSION: Final = "tokensrv_forward_auth"


class Found(NamedTuple):
    """What was asked, and who may enter."""

    asked: Asked
    outcome: Entry | NoEntry


class ForwardAuth:
    """What decides at this gate of one application."""

    def __init__(self, app: Flask) -> None:
        self._store = cast(Store, app.extensions["tokensrv"])
        self._lookup = cast(Lookup, app.extensions["tokensrv_lookup"])
        self._usage = cast(Usage, app.extensions["tokensrv_usage"])
        self._metrics = cast(Metrics, app.extensions["tokensrv_metrics"])

    def decide(self, environ: WSGIEnvironment, request_id: str) -> Found:
        """Return who enters, on record; raises StorageUnavailable, and then nobody may enter."""
        settings = self._store.settings
        asked = forwarded.read(environ, settings)
        visit = visits.of(
            environ,
            settings,
            Gate.AUTH,
            asked.original,
            request_id=request_id,
            scopes=asked.scopes,
        )
        secret = asked.obstacle or _secret(environ)
        if isinstance(secret, Obstacle):
            return Found(asked, self._turned_away(visit, secret))
        outcome = entry.enter(
            self._store, self._usage, self._lookup, visit, secret, metrics=self._metrics
        )
        return Found(asked, outcome)

    def _turned_away(self, visit: Visit, obstacle: Obstacle) -> NoEntry:
        refused = NoEntry(obstacle)
        return turned_away.record(self._store, self._usage, visit, refused, metrics=self._metrics)


class _AnyPath(BaseConverter):
    """Whatever is left of a path, whatever is in it."""

    regex = "(?s:.*)"
    part_isolating = False


def init_app(app: Flask) -> None:
    """Add the route: the very path and everything below it, for every method there is.

    Flask's own way to add rules knows no method that it was not told, and a WebSocket that is
    about to open is asked about like everything else.
    """
    app.extensions[_EXTENSION] = ForwardAuth(app)
    app.view_functions[_ENDPOINT] = auth
    app.url_map.converters["any_path"] = _AnyPath
    for path in (PATH, f"{PATH}/<any_path:_>"):
        for websocket in (False, True):
            app.url_map.add(app.url_rule_class(path, endpoint=_ENDPOINT, websocket=websocket))


def of(app: Flask) -> ForwardAuth:
    """Return what decides at this gate of an application."""
    return cast(ForwardAuth, app.extensions[_EXTENSION])


def auth(_: str = "") -> Response:
    """Answer a proxy, as far as the fast path has not."""
    environ = request.environ
    problem: Exception | None = environ.get(wsgi.PROBLEM)
    if problem is not None:
        raise problem
    found: Found | None = environ.get(FOUND)
    if found is None:
        found = of(current_app).decide(environ, context.request_id())
    return answers.render(found.asked, found.outcome)


def _secret(environ: WSGIEnvironment) -> str | Obstacle:
    found = credential.read(environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_PRIVATE_TOKEN"))
    if found is None:
        return Obstacle.ANONYMOUS
    return Obstacle.CREDENTIALS if isinstance(found, Unreadable) else found.secret
