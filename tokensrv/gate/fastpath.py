"""The fast path: who enters at ``/gate/auth`` is told so before Flask.

It is the hottest answer of a gate: proxies ask for every request. It decides as Flask's way does
(``gate.auth``) and leaves whom it did not let in, and whatever failed, for that to answer, so that
nothing is decided, counted or written twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from flask import Flask

from tokensrv.domain.gates import Entry
from tokensrv.gate import answers, auth, forwarded
from tokensrv.http import health, wsgi
from tokensrv.http.around import headers_for

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Where proxies ask.
_GATES: Final = "/gate/"


def init_app(app: Flask) -> None:
    """Put the fast path in front of the application."""
    app.wsgi_app = FastPath(app, app.wsgi_app)  # type: ignore[method-assign]  # as Flask's manual says


class FastPath:
    """A WSGI callable around Flask's, or around another fast path."""

    def __init__(self, app: Flask, flask: WSGIApplication) -> None:
        self.flask = flask
        self._auth = auth.of(app)
        self._schema = health.seen(app)
        self._headers = tuple(headers_for(f"{forwarded.PATH}/").items())

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer who enters, and have Flask answer everybody else."""
        path = environ["PATH_INFO"]
        if path.startswith(_GATES):
            # Nothing there depends on it, and Werkzeug refuses some that proxies let through.
            environ.pop("HTTP_HOST", None)
        if not forwarded.is_here(path) or not self._schema.fits:
            return self.flask(environ, start_response)
        # From here on it has this id, in the log of events and in the answer.
        environ["HTTP_X_REQUEST_ID"] = request_id = wsgi.request_id(environ)
        try:
            found = self._auth.decide(environ, request_id)
        except Exception as error:  # noqa: BLE001  # raised again where it is logged and rendered
            environ[wsgi.PROBLEM] = error
            return self.flask(environ, start_response)
        if not isinstance(found.outcome, Entry):
            environ[auth.FOUND] = found
            return self.flask(environ, start_response)
        headers = [*answers.entered(found.outcome), *self._headers, ("X-Request-Id", request_id)]
        start_response("200 OK", headers)
        return []
