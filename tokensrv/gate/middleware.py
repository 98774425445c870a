"""Middleware: the gate of Git in front of a backend that is WSGI itself.

It asks what a proxy asks, of tokensrv's own application in the same process, so that there is one
decision and one trail. The backend learns who asks from it alone: neither what a client claims to
be nor his secret gets through.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from werkzeug.test import create_environ
from werkzeug.wrappers import Response

from tokensrv.gate.git import PATH

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# What the decision needs of a request beside its first line.
_ASKED: Final = (
    "HTTP_AUTHORIZATION",
    "HTTP_PRIVATE_TOKEN",
    "HTTP_SUDO",
    "HTTP_SUDO_REASON",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_REQUEST_ID",
    "REMOTE_ADDR",
)
_WITHHELD: Final = frozenset(
    {
        "AUTH_TYPE",
        "HTTP_AUTHORIZATION",
        "HTTP_PRIVATE_TOKEN",
        "HTTP_SUDO",
        "HTTP_SUDO_REASON",
        "REMOTE_USER",
    }
)
_IDENTITY: Final = "HTTP_X_AUTH_"


class GitGate:
    """A WSGI callable around a backend that serves Git repositories.

    ``app`` is tokensrv's application; ``root`` is the path below which the backend has its
    repositories. The backend finds who asks in ``REMOTE_USER`` and in ``HTTP_X_AUTH_*``.
    """

    def __init__(self, backend: WSGIApplication, app: WSGIApplication, root: str = "/") -> None:
        self._backend = backend
        self._app = app
        self._root = root

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass a request on to the backend, or answer it as the gate does."""
        answer = Response.from_app(self._app, self._question(environ), buffered=True)
        if answer.status_code != 200:
            return answer(environ, start_response)
        return self._backend(_identified(environ, answer), start_response)

    def _question(self, environ: WSGIEnvironment) -> WSGIEnvironment:
        """Return the request to the gate: of what the backend sees, however it was mounted."""
        path = quote(environ.get("PATH_INFO", ""), encoding="latin-1")
        question = create_environ(PATH, query_string={"root": self._root})
        question |= {name: environ[name] for name in _ASKED if name in environ}
        return question | {
            "HTTP_X_ORIGINAL_METHOD": environ["REQUEST_METHOD"],
            "HTTP_X_ORIGINAL_URI": f"{path}?{environ.get('QUERY_STRING', '')}",
            "wsgi.errors": environ["wsgi.errors"],
        }


def _identified(environ: WSGIEnvironment, answer: Response) -> WSGIEnvironment:
    """Return the request with the identity of the answer in the place of any other."""
    kept = {
        name: value
        for name, value in environ.items()
        if name not in _WITHHELD and not name.startswith(_IDENTITY)
    }
    told = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in answer.headers}
    identity = {name: value for name, value in told.items() if name.startswith(_IDENTITY)}
    return kept | identity | {"REMOTE_USER": answer.headers["X-Auth-User"]}
