"""Git over HTTP: what a proxy, or ``gate.middleware``, in front of repositories asks.

It owns how Git is told no: the words that people see there, which are GitLab's, and the challenge
upon which Git asks for a password. What a request asks for is ``gate.git_requests``, who may do it
``services.gates.git``.
"""

from __future__ import annotations

from typing import Final

from flask import Flask, Response, request

from tokensrv.config import Settings
from tokensrv.domain.gates import Entry, Gate, NoEntry, Obstacle
from tokensrv.gate import credential, denied, git_requests, original, visits
from tokensrv.gate.credential import Unreadable
from tokensrv.gate.git_requests import GitRequest
from tokensrv.gate.original import Original
from tokensrv.http import context
from tokensrv.services.gates import git, turned_away
from tokensrv.services.gates.visit import Visit

PATH: Final = "/gate/git"

_ENDPOINT: Final = "gate.git"
_CHALLENGE: Final = 'Basic realm="tokensrv"'


def init_app(app: Flask) -> None:
    """Add the route, for every method there is: some proxies ask with that of the request.

    Flask's own way to add rules knows no method that it was not told, and what asks to become a
    WebSocket would be answered 400.
    """
    app.view_functions[_ENDPOINT] = _answer
    for websocket in (False, True):
        app.url_map.add(app.url_rule_class(PATH, endpoint=_ENDPOINT, websocket=websocket))


def _answer() -> Response:
    """Answer whether the original request may go on: 200 with who asks, 401 or 403."""
    told = original.read(request.environ)
    root, *_ = [*visits.given(request.environ, "root"), "/"]
    asked = git_requests.read(told, root)
    visit = visits.of(
        request.environ,
        context.settings(),
        Gate.GIT,
        told or Original(),
        request_id=context.request_id(),
        scopes=asked.scopes if asked else (),
    )
    found = _entered(visit, asked)
    if isinstance(found, Entry):
        return Response(headers=visits.identity(found), mimetype="text/plain")
    return _refused(found, context.settings(), writes=asked is not None and asked.writes)


def _entered(visit: Visit, asked: GitRequest | None) -> Entry | NoEntry:
    store, usage, metrics = context.store(), context.usage(), context.metrics()
    presented = credential.read(
        request.headers.get("Authorization"), request.headers.get("PRIVATE-TOKEN")
    )
    obstacle = None
    if asked is None:
        obstacle = Obstacle.REQUEST
    elif presented is None:
        obstacle = Obstacle.ANONYMOUS
    elif isinstance(presented, Unreadable):
        obstacle = Obstacle.CREDENTIALS
    else:
        return git.enter(
            store,
            usage,
            context.lookup(),
            visit,
            presented.secret,
            presented.username,
            asked.repository,
            writes=asked.writes,
            metrics=metrics,
        )
    return turned_away.record(store, usage, visit, NoEntry(obstacle), metrics=metrics)


def _refused(refused: NoEntry, settings: Settings, *, writes: bool) -> Response:
    if not refused.is_forbidden:
        answer = Response(denied.text(settings), 401, mimetype="text/plain")
        answer.headers["WWW-Authenticate"] = _CHALLENGE
        return answer
    text = f"You are not allowed to {'upload' if writes else 'download'} code."
    answer = Response(text, 403, mimetype="text/plain")
    if refused.retry_after_seconds:
        answer.headers["Retry-After"] = str(refused.retry_after_seconds)
    return answer
