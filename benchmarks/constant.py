"""What the numbers stand beside: a constant answer, and a Flask view that does nothing.

Both run under the very settings that ``tokensrv serve`` gives Granian, one worker each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask

from tokensrv.cli.serve.server import granian
from tokensrv.config import Settings

# As many bytes as the answer about a live token has, and text that says as much.
BODY = b'{"active":true,"constant":"%s"}' % (b"x" * 240)
_HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))]


def constant(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer the same to everything."""
    start_response("200 OK", _HEADERS)
    return [BODY]


def empty() -> Flask:
    """Return an application whose one view returns the constant."""
    app = Flask("empty", static_folder=None)

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
    @app.route("/<path:path>", methods=["GET", "POST"])
    def view(path: str) -> tuple[bytes, dict[str, str]]:
        return BODY, {"Content-Type": "application/json"}

    return app


CALLABLES: dict[str, Callable[[], Callable[..., Iterable[bytes]]]] = {
    "constant": lambda: constant,
    "empty": empty,
}


def load(name: str) -> Callable[..., Iterable[bytes]]:
    """Return the callable of this name, in a worker of Granian."""
    return CALLABLES[name]()


if __name__ == "__main__":
    _name, _port = sys.argv[1:]
    _server = granian(
        _name, address="127.0.0.1", port=int(_port), workers=1, threads=Settings().threads
    )
    _server.serve(target_loader=load)
