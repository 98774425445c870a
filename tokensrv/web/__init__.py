"""The pages: sign-in, one's own settings, administration.

Rendered here, with style and scripts of our own; every essential act works without scripts. It
decides nothing: who may do what is the services' to say.
"""

from __future__ import annotations

from flask import Blueprint, Flask

from tokensrv.http import errors, guard
from tokensrv.web import (
    admin,
    admission,
    assets,
    cookies,
    docs,
    headers,
    home,
    problems,
    rendering,
    settings,
    sign_in,
)


def init_app(app: Flask) -> None:
    """Add all pages to the application, guarded by their own guard."""
    bp = Blueprint("web", __name__, template_folder="templates")
    cookies.init_app(bp)
    headers.init_app(bp)
    for part in (home, assets):
        bp.register_blueprint(part.bp)
    for area in (sign_in, settings, admin, docs):
        for page in area.PAGES:
            bp.register_blueprint(page)
    rendering.init_app(app)
    guard.hand_over(app, bp.name, admission.admit)
    errors.draw_pages(app, problems.draw)
    app.register_blueprint(bp)
