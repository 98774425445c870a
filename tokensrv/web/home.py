"""The front door: whoever comes without a path is led to his tokens."""

from __future__ import annotations

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

bp = Blueprint("home", __name__)


@bp.get("/")
def show() -> ResponseReturnValue:
    """Lead on to the page that people come for."""
    return redirect(url_for("web.tokens.show"), 303)
