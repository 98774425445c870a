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
    if name not in _contents() or version != _version(name):
        raise NotFound
    response = Response(_contents()[name], content_type=_TYPES[_suffix(name)])
    response.headers["Cache-Control"] = _KEPT
    return response


def address(name: str) -> str:
    """Return the address of a file of this version."""
    return url_for("web.assets.show", version=_version(name), name=name)


@cache
def _contents() -> dict[str, bytes]:
    # All at once: what strangers ask for is kept nowhere.
    files = [file for file in _FOLDER.iterdir() if _suffix(file.name) in _TYPES]
    return {file.name: file.read_bytes() for file in files}


@cache
def _version(name: str) -> str:
    return hashlib.sha256(_contents()[name]).hexdigest()[:12]


def _suffix(name: str) -> str:
    return f".{name.rpartition('.')[2]}"
