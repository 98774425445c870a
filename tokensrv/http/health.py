"""Health: whether this process lives, and whether it can do its work.

It owns ``/healthz`` and ``/readyz``, and answers every other route with 503 as long as the
schema of the database is not the one of this code. Nothing is upgraded here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Flask, current_app, request
from flask.typing import ResponseReturnValue

from tokensrv.errors import SchemaMismatch, StorageUnavailable
from tokensrv.http import context
from tokensrv.services import signing_keys
from tokensrv.services.schema import ADVICE, SchemaState, state

bp = Blueprint("health", __name__)

_log = logging.getLogger("tokensrv.health")

_EXTENSION: Final = "tokensrv_schema"
_ALWAYS_OPEN: Final = frozenset({"health.healthz", "health.readyz"})


@dataclass(slots=True)
class _Seen:
    """What this process knows of the schema; None: it did not look yet."""

    state: SchemaState | None = None


def init_app(app: Flask) -> None:
    """Add the two routes, and close all others while the schema does not fit."""
    app.extensions[_EXTENSION] = _Seen()
    app.register_blueprint(bp)
    app.before_request(_require_schema)


@bp.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Answer; the database is not asked."""
    return {"status": "ok"}


@bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Answer 200 when the database can be reached and its schema fits, else 503 and why.

    Without a key only signed answers are missing: that is said, but the node goes on.
    """
    degraded = None
    try:
        why = ADVICE.get(state(context.store()))
        if why is None:
            degraded = signing_keys.problem(context.store())
    except StorageUnavailable as error:
        why = str(error)
    if why is not None:
        return {"status": "unavailable", "why": why}, 503, {"Retry-After": "1"}
    return {"status": "ok"} if degraded is None else {"status": "degraded", "why": degraded}


def _require_schema() -> None:
    seen: _Seen = current_app.extensions[_EXTENSION]
    # Once it fits it is not asked for again: `/readyz` would tell if a newer node changed it.
    if seen.state is SchemaState.CURRENT or request.endpoint in _ALWAYS_OPEN:
        return
    found = state(context.store())
    why = ADVICE.get(found)
    if why is not None and found is not seen.state:
        _log.error("schema.mismatch", extra={"state": found.value, "why": why})
    seen.state = found
    if why is not None:
        raise SchemaMismatch(why)
