"""Assets: style and scripts, under addresses that change with their content.

A browser keeps them for good, and still never shows a page with the style of another version.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import Final

from flask import Blueprint, Response, url_for
from werkzeug.exceptions import NotFound

bp = Blueprint("assets", __name__, url_prefix="/-/assets")

_FOLDER: Final = resources.files("tokensrv.web") / "static"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_KEPT: Final = "public, max-age=31536000, immutable"


@bp.get("/<version>/<name>")
def show(version: str, name: str) -> Response:
    """Show a file of this version; any other version is gone."""
    content = _content(name)
    if content is None or version != _version(name):
        raise NotFound
    response = Response(content, content_type=_TYPES["." + name.rpartition(".")[2]])
    response.headers["Cache-Control"] = _KEPT
    return response


def address(name: str) -> str:
    """Return the address of a file of this version."""
    return url_for("web.assets.show", version=_version(name), name=name)


@cache
def _content(name: str) -> bytes | None:
    known = {file.name for file in _FOLDER.iterdir()}
    is_ours = name in known and "." + name.rpartition(".")[2] in _TYPES
    return (_FOLDER / name).read_bytes() if is_ours else None


@cache
def _version(name: str) -> str:
    return hashlib.sha256(_content(name) or b"").hexdigest()[:12]
