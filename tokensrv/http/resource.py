"""The resource: what this server's own API is to OAuth's clients (RFC 9728).

It owns its identifier and the place of its metadata, which every challenge of the API names. The
document itself belongs to the OAuth edge.
"""

from __future__ import annotations

from typing import Final

from tokensrv.config import Settings

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"


def identifier(settings: Settings) -> str:
    """Return the URL that names the API (RFC 9728 §1.2): everything below it is one resource."""
    return settings.external_url


def metadata_url(settings: Settings) -> str:
    """Return where the metadata is: the path of the identifier comes last (RFC 9728 §3.1)."""
    scheme, _, rest = identifier(settings).partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}{WELL_KNOWN}{slash}{path}"
