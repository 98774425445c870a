"""The fast path: plain introspection answered before Flask, which costs ten times as much.

It answers what nearly every question is: a form about a token, from a client that says who it is
by its secret and wants JSON, sudo included. It decides nothing: it parses, looks up, decides and
renders with what Flask's way (``introspect``) is made of. Whatever is anything else, an error
above all, goes on to Flask as if nobody had looked at it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, cast

from flask import Flask

from tokensrv.db import Store
from tokensrv.domain.caller import InvalidSudo
from tokensrv.domain.facts import Facts
from tokensrv.domain.introspection import PLAIN, Question
from tokensrv.domain.secret import token_digest
from tokensrv.http import health, wsgi
from tokensrv.http.around import headers_for
from tokensrv.http.parse import clients
from tokensrv.http.parse import form as parse_form
from tokensrv.http.parse.clients import ClientCredentials
from tokensrv.http.parse.form import Form
from tokensrv.lookup import Lookup
from tokensrv.oauth import plain, question, signed
from tokensrv.oauth.told import Rendered, Told
from tokensrv.services.introspection import introspect, may_be_recorded
from tokensrv.services.metering.metrics import Metrics
from tokensrv.services.trail.events import Origin
from tokensrv.services.trail.usage import Usage

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATH: Final = "/oauth/introspect"
_METHOD: Final = "POST"

# Where no event can come from.
_NOWHERE: Final = Origin()


def init_app(app: Flask) -> None:
    """Put the fast path in front of the application."""
    app.wsgi_app = FastPath(app, app.wsgi_app)  # type: ignore[method-assign]  # as Flask's manual says


class FastPath:
    """A WSGI callable around Flask's."""

    def __init__(self, app: Flask, flask: WSGIApplication) -> None:
        self.flask = flask
        self._store = cast(Store, app.extensions["tokensrv"])
        self._lookup = cast(Lookup, app.extensions["tokensrv_lookup"])
        self._usage = cast(Usage, app.extensions["tokensrv_usage"])
        self._metrics = cast(Metrics, app.extensions["tokensrv_metrics"])
        self._places = wsgi.places(app)
        self._schema = health.seen(app)
        self._headers = tuple(headers_for(PATH).items())
        self._told = Told()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a plain introspection, and have Flask answer everything else."""
        if not self._schema.fits or not _is_plain(environ):
            return self.flask(environ, start_response)
        request_id = wsgi.request_id(environ)
        try:
            asked = self._asked(environ)
            rendered = None if asked is None else self._rendered(*asked, environ, request_id)
        except Exception as error:  # noqa: BLE001  # raised again where it is logged and rendered
            environ[wsgi.PROBLEM] = error
            rendered = None
        if rendered is None:
            return self.flask(environ, start_response)
        start_response("200 OK", [*rendered.headers, ("X-Request-Id", request_id)])
        return [rendered.body]

    def _asked(self, environ: WSGIEnvironment) -> tuple[Facts, Question] | None:
        """Return what a client asks and the facts, None for who is no client or asks in vain.

        The steps stand in one function, although it is long: a call takes as long as a step.
        """
        body = wsgi.body(environ, self._places, parse_form.MAX_BYTES)
        form = parse_form.read(environ.get("CONTENT_TYPE"), body) if body else None
        if not isinstance(form, Form) or form.repeated:
            return None
        token = form.get("token")
        asked = question.read(
            form,
            sudo_header=environ.get("HTTP_SUDO"),
            reason_header=environ.get("HTTP_SUDO_REASON"),
        )
        if not token or isinstance(asked.ask, InvalidSudo):
            return None
        presented = clients.read(
            environ.get("HTTP_AUTHORIZATION"),
            form,
            tolerates_both=self._store.settings.dual_client_auth,
        )
        if not isinstance(presented, ClientCredentials):
            return None
        facts = self._lookup.find(
            client_id=presented.client_id, digest=token_digest(token), target=asked.target
        )
        client = facts.client
        if client is None or presented.method not in client.auth_methods:
            return None
        return (facts, asked) if clients.authenticates(client, presented.digests) else None

    def _rendered(
        self, facts: Facts, asked: Question, environ: WSGIEnvironment, request_id: str
    ) -> Rendered:
        """Return the answer, its events written; raises StorageUnavailable."""
        store, settings, token = self._store, self._store.settings, facts.token
        is_recorded = may_be_recorded(facts, asked)
        is_plain = asked is PLAIN and not is_recorded
        now_ms = store.clock.now_ms()
        told = self._told.find(facts, settings, now_ms) if is_plain else None
        if told is not None and token is not None:
            self._usage.used(token.id, token.user_id, None)
            self._metrics.introspected("active")
            return told
        answer = introspect(
            store,
            self._usage,
            facts,
            asked,
            self._origin(environ, request_id, facts) if is_recorded else _NOWHERE,
            method=_METHOD,
            path=PATH,
            metrics=self._metrics,
        )
        body = plain.body(answer)
        length = ("Content-Length", str(len(body)))
        headers = [*plain.headers(answer, settings), length, *self._headers]
        rendered = Rendered(headers, body)
        if is_plain and answer["active"]:
            self._told.keep(facts, settings, now_ms, rendered)
        return rendered

    def _origin(self, environ: WSGIEnvironment, request_id: str, facts: Facts) -> Origin:
        """Return where an event comes from."""
        return Origin(
            ip=wsgi.remote_address(environ, self._store.settings),
            request_id=request_id,
            client_id=None if facts.client is None else facts.client.client_id,
        )


def _is_plain(environ: WSGIEnvironment) -> bool:
    return (
        environ["PATH_INFO"] == PATH
        and environ["REQUEST_METHOD"] == _METHOD
        and not environ.get("QUERY_STRING")
        and "HTTP_UPGRADE" not in environ
        and not signed.is_preferred(environ.get("HTTP_ACCEPT"))
    )
