"""Signed answers (RFC 9701): an answer of introspection as a JWT for the client that asked.

It owns when an answer is signed and what the JWT says. Keys are ``services.keys.signing_keys``'s.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from tokensrv.domain.introspection import Answer
from tokensrv.services.keys.key_pairs import Signer

MEDIA_TYPE: Final = "application/token-introspection+jwt"
_TYPE: Final = "token-introspection+jwt"
_JSON: Final = "application/json"


# A client says the same every time.
@lru_cache(maxsize=256)
def is_preferred(accept: str | None) -> bool:
    """Return whether this header says that a signed answer is more welcome than JSON."""
    wanted = parse_accept_header(accept, MIMEAccept)
    return wanted.quality(MEDIA_TYPE) > wanted.quality(_JSON)


def sign(answer: Answer, *, signer: Signer, issuer: str, audience: str, now_ms: int) -> str:
    """Return the answer as a JWT (RFC 9701 §5).

    There is no ``sub`` and no ``exp`` beside it, so that nobody takes it for an access token.
    """
    claims = {"iss": issuer, "aud": audience, "iat": now_ms // 1000, "token_introspection": answer}
    return signer.sign(_TYPE, claims)
