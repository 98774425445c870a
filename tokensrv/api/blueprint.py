"""The frame of a view: parameters in, the role asked for, an object and its documentation out.

It owns what all routes of the API have in common; flask-smorest does the work. Parameters come
from wherever a request says them (``http.parse.parameters``): the "query" and "json" below are
only where the documentation shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import wraps
from typing import Any, NoReturn

import flask_smorest
from flask import Request, Response
from marshmallow import Schema, ValidationError
from webargs.flaskparser import FlaskParser

from tokensrv.api.schemas.problems import Problem
from tokensrv.http.answers import invalid
from tokensrv.http.context import parameters
from tokensrv.http.guard import require_role

View = Callable[..., Any]

# What any route may answer: unreadable parameters, no credential, not enough power, a body that
# is too large or of an unknown type, a fault of ours, storage away.
_ALWAYS = frozenset({400, 401, 403, 413, 415, 500, 503})


class _Parser(FlaskParser):
    """Reads merged parameters, and refuses in GitLab's words."""

    DEFAULT_VALIDATION_STATUS = 400

    def load_querystring(self, req: Request, schema: Schema) -> Any:
        """Return the parameters that the schema knows; raises ApiError."""
        known = [field.data_key or name for name, field in schema.load_fields.items()]
        return parameters().merged(known)

    load_json = load_querystring

    def handle_error(
        self,
        error: ValidationError,
        req: Request,
        schema: Schema,
        *,
        error_status_code: int | None,
        error_headers: Mapping[str, str] | None,
    ) -> NoReturn:
        """Raise ApiError (400) that names every parameter and what is wrong with it."""
        # webargs puts the location above the messages.
        [found] = error.messages_dict.values()
        raise invalid(*(_problem(name, messages) for name, messages in found.items()))


def _problem(name: str, messages: list[str]) -> str:
    # What concerns several parameters names them itself.
    return messages[0] if name == "_schema" else f"{name} {messages[0]}"


class Blueprint(flask_smorest.Blueprint):
    """A part of the API."""

    ARGUMENTS_PARSER = _Parser(unknown=None)

    def verb(
        self,
        method: str,
        rule: str,
        *,
        takes: type[Schema] | None = None,
        gives: Schema | type[Schema] | Mapping[str, Any] | None = None,
        status: int = 200,
        fails: Collection[int] = (),
    ) -> Callable[[View], View]:
        """Make a view of a function: what it ``takes`` is its first argument.

        ``gives`` describes its answer, ``fails`` its refusals beyond those of every route.
        """

        def decorator(function: View) -> View:
            view: View = _framed(function, status)
            if takes is not None:
                location = "query" if method == "GET" else "json"
                # One for all requests: of a class webargs makes a new one each time.
                schema = takes()
                is_needed = any(field.required for field in schema.load_fields.values())
                view = self.arguments(schema, location=location, required=is_needed)(view)
            for code in sorted({*_ALWAYS, *fails}, reverse=True):
                view = self.alt_response(code, schema=Problem)(view)
            view = self.response(status, gives)(view)
            view = self.doc(operationId=f"{self.name}.{function.__name__}")(view)
            self.add_url_rule(rule, None, view, methods=[method])
            return view

        return decorator


def _framed(function: View, status: int) -> View:
    @wraps(function)
    def framed(*args: Any, **kwargs: Any) -> Any:
        # GitLab looks at the parameters first, and they have been read by now.
        require_role()
        result = function(*args, **kwargs)
        return Response(status=204) if status == 204 else result

    return framed
