"""Exchange: which scopes, which end and which audience a token may get out of another one.

Pure rules; ``services.lifecycle.exchange`` applies them inside its transaction. Whether there may
be such a token at all, then and as long as it lives, is ``domain.caller.decide``.
"""

from __future__ import annotations

from tokensrv.domain.facts import TokenFacts
from tokensrv.domain.scopes import missing, passed_on
from tokensrv.errors import Invalid, ScopesNotHeld

DEFAULT_SECONDS = 300
MAXIMUM_SECONDS = 3600


def exchanged_scopes(wanted: tuple[str, ...], effective: tuple[str, ...]) -> tuple[str, ...]:
    """Return the scopes of the new token: the wanted ones, or all that can be passed on.

    Raises ScopesNotHeld for a wider one, for one that is never passed on, and when nothing is
    left: a token without scopes is none.
    """
    held = passed_on(effective)
    granted = tuple(dict.fromkeys(wanted)) or held
    lacking = missing(granted, held) or tuple(
        scope for scope in granted if scope not in passed_on(granted)
    )
    if lacking or not granted:
        raise ScopesNotHeld(lacking)
    return granted


def exchanged_expiry(now_ms: int, *, wanted_seconds: int | None, source_ms: int | None) -> int:
    """Return when the new token dies, in milliseconds: a whole second, never after its source.

    A wish beyond the maximum is cut to it. ``source_ms`` None: the source never expires.
    """
    seconds = min(DEFAULT_SECONDS if wanted_seconds is None else wanted_seconds, MAXIMUM_SECONDS)
    ends = (now_ms // 1000 + seconds) * 1000
    return ends if source_ms is None else min(ends, source_ms)


def exchanged_audience(wanted: tuple[str, ...], source: tuple[str, ...]) -> tuple[str, ...]:
    """Return the clients that the new token is for; raises Invalid for one the source is not."""
    # An empty audience means everybody, so it is wider than any other.
    if source and not set(wanted) <= set(source):
        raise Invalid("audience", "does not have a valid value")
    return tuple(dict.fromkeys(wanted)) or source


def within_source(token: TokenFacts, source: TokenFacts) -> TokenFacts | None:
    """Return the token within the end and the audience that its source has now.

    None: they have no client in common any more, so that it is for nobody. From where it is
    used both have been asked about already.
    """
    audience = token.audience or source.audience
    if token.audience and source.audience:
        audience = tuple(client for client in token.audience if client in source.audience)
        if not audience:
            return None
    ends = [end for end in (token.expires_ms, source.expires_ms) if end is not None]
    return token._replace(audience=audience, expires_ms=min(ends, default=None))
