"""Health: whether this process lives, and whether it can do its work.

It owns ``/healthz`` and ``/readyz``, and answers every other route with 503 as long as the
schema of the database is not the one of this code. Nothing is upgraded here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final, cast

from flask import Blueprint, Flask, current_app, request
from flask.typing import ResponseReturnValue

from tokensrv.errors import SchemaMismatch, StorageUnavailable
from tokensrv.http import context
from tokensrv.services.keys import signing_keys
from tokensrv.services.schema import ADVICE, SchemaState, state

bp = Blueprint("health", __name__)

_log = logging.getLogger("tokensrv.health")

_EXTENSION: Final = "tokensrv_schema"
_ALWAYS_OPEN: Final = frozenset({"health.healthz", "health.readyz"})


@dataclass(slots=True)
class Seen:
    """What this process knows of the schema; ``state`` None: it did not look yet."""

    state: SchemaState | None = None

    @property
    def fits(self) -> bool:
        """Return whether the schema is known to be the one of this code."""
        return self.state is SchemaState.CURRENT


def init_app(app: Flask) -> None:
    """Add the two routes, and close all others while the schema does not fit."""
    app.extensions[_EXTENSION] = Seen()
    app.register_blueprint(bp)
    app.before_request(_require_schema)


def seen(app: Flask) -> Seen:
    """Return what this process knows of the schema."""
    return cast(Seen, app.extensions[_EXTENSION])


@bp.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Answer; the database is not asked."""
    return {"status": "ok"}


@bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Answer 200 when the database can be reached and its schema fits, else 503 and why.

    Without a key only what is signed is missing: that is said, but the node goes on.
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
    known = seen(current_app)
    # Once it fits it is not asked for again: `/readyz` would tell if a newer node changed it.
    if known.fits or request.endpoint in _ALWAYS_OPEN:
        return
    found = state(context.store())
    why = ADVICE.get(found)
    if why is not None and found is not known.state:
        _log.error("schema.mismatch", extra={"state": found.value, "why": why})
    known.state = found
    if why is not None:
        raise SchemaMismatch(why)
