"""What this server is: clients ask before they decide how to talk to it."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import fields

import tokensrv
from tokensrv.api.blueprint import Blueprint
from tokensrv.api.schemas.base import Wire

bp = Blueprint("about", __name__, url_prefix="/api/v4")

# An installed package does not know from which commit it was built.
_VERSION: Final = {"version": tokensrv.__version__, "revision": "unknown"}
_KAS: Final = {"enabled": False, "externalUrl": None, "externalK8sProxyUrl": None, "version": None}


class Version(Wire):
    """The version of the server."""

    version = fields.String()
    revision = fields.String()


class Metadata(Version):
    """The version, and what there is not."""

    enterprise = fields.Boolean()
    kas = fields.Dict()


@bp.verb("GET", "/version", gives=Version)
def version() -> dict[str, Any]:
    """Show the version."""
    return _VERSION


@bp.verb("GET", "/metadata", gives=Metadata)
def metadata() -> dict[str, Any]:
    """Show the version and what is switched on."""
    return {**_VERSION, "kas": _KAS, "enterprise": False}
