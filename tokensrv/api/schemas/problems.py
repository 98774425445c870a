"""The shapes of errors, for the documentation: ``http.errors`` writes them."""

from __future__ import annotations

from marshmallow import fields

from tokensrv.api.schemas.base import Wire


class Problem(Wire):
    """A refusal: ``message`` or ``error``; refusals of a token itself say more (RFC 6750 §3)."""

    message = fields.Raw(metadata={"type": ["string", "object"]})
    error = fields.String()
    error_description = fields.String()
    scope = fields.String()
