"""Forms of our own: a page that another site has somebody send does nothing.

Each form carries a value that is derived from the cookie of the browser which got it, and which
no script and no other site can read. Nothing of it is stored, and no key is needed. Browsers that
say where a request comes from (Fetch Metadata) are believed, too.
"""

from __future__ import annotations

import hmac
from typing import Final

from flask import request

from tokensrv.http.answers import forbidden
from tokensrv.web import cookies

FIELD: Final = "csrf_token"
_PURPOSE: Final = b"tokensrv form"
# A request of the user's own, from a bookmark or the address line, says "none".
_OURS: Final = frozenset({"same-origin", "none"})


def token() -> str:
    """Return what a form of this answer must carry."""
    return token_for(cookies.seed())


def check() -> None:
    """Raise ApiError (403) unless the form of this request came from one of our pages."""
    seed, given = cookies.kept_seed(), request.form.get(FIELD, "").encode()
    is_ours = request.headers.get("Sec-Fetch-Site", "none") in _OURS
    if not is_ours or seed is None or not hmac.compare_digest(token_for(seed).encode(), given):
        raise forbidden(
            "This form is not from a page that you have open now. Nothing was done:"
            " go back, reload the page and send it again."
        )


def token_for(seed: str) -> str:
    """Return what the forms of a browser that keeps this must carry."""
    return hmac.digest(seed.encode(), _PURPOSE, "sha256").hex()
