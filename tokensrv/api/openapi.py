"""OpenAPI: the description of the API at ``/openapi.json``, made from the views' schemas.

flask-smorest would also render every error of the application; here ``http.errors`` does. And it
would describe every route at the start, which takes longer than all the rest of it; here that waits
until somebody asks.
"""

from __future__ import annotations

import threading
from typing import Any, Final

import flask_smorest
from flask import Flask, Response

import tokensrv
from tokensrv.api.schemas.problems import Problem
from tokensrv.db import Store
from tokensrv.http.paths import IdConverter, TokenIdConverter

_SECURITY: Final = {
    "private_token": {"type": "apiKey", "in": "header", "name": "PRIVATE-TOKEN"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


class _Api(flask_smorest.Api):
    """flask-smorest without its own opinion about errors, and about when to describe."""

    ERROR_SCHEMA = Problem
    # Every view names its refusals itself.
    DEFAULT_ERROR_RESPONSE_NAME = None

    def __init__(self, app: Flask, **options: Any) -> None:
        self._describing = threading.Lock()
        self._undescribed: list[flask_smorest.Blueprint] = []
        super().__init__(app, **options)

    def register_blueprint(self, bp: flask_smorest.Blueprint) -> None:
        """Add the routes of a blueprint, to be described later."""
        self._app.extensions["flask-smorest"]["blp_name_to_api"][bp.name] = self
        self._app.register_blueprint(bp)
        self._undescribed.append(bp)

    def description(self) -> dict[str, Any]:
        """Return the OpenAPI document of all routes."""
        with self._describing:
            while self._undescribed:
                bp = self._undescribed.pop(0)
                bp.register_views_in_doc(self, self._app, self.spec, name=bp.name, parameters=None)
                self.spec.tag({"name": bp.name, "description": bp.description})
            found: dict[str, Any] = self.spec.to_dict()
            return found

    def _openapi_json(self) -> Response:
        """Serve the document."""
        self.description()
        answer: Response = super()._openapi_json()
        return answer

    def _register_error_handlers(self) -> None:
        """Leave the application's error handlers alone."""


def build(app: Flask) -> Any:
    """Return the flask-smorest API of an application, without any route but the description."""
    store: Store = app.extensions["tokensrv"]
    app.config.update(
        API_TITLE="tokensrv",
        API_VERSION=tokensrv.__version__,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
    )
    api = _Api(app, spec_kwargs={"servers": [{"url": store.settings.external_url}]})
    for converter in (IdConverter, TokenIdConverter):
        api.register_converter(converter, lambda _: {"type": "integer", "minimum": 0})
    app.extensions["tokensrv_openapi"] = api.description
    for name, scheme in _SECURITY.items():
        api.spec.components.security_scheme(name, scheme)
    api.spec.options["security"] = [{name: []} for name in _SECURITY]
    return api
