"""Original: what somebody asks of the service behind a proxy, as the proxy tells it.

Pure functions. nginx tells it by ``X-Original-*``, Traefik and Caddy by ``X-Forwarded-*``; a header
that the proxy does not set can come from anybody, so that two that differ tell nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote

_METHODS: Final = ("HTTP_X_ORIGINAL_METHOD", "HTTP_X_FORWARDED_METHOD")
_URIS: Final = ("HTTP_X_ORIGINAL_URI", "HTTP_X_FORWARDED_URI")


class Original(NamedTuple):
    """A request: method and path are empty where nobody told them.

    The path is percent-decoded and ends before the first ``?`` or ``#``, also before one that was
    encoded; ``query`` is as it was written.
    """

    method: str = ""
    path: str = ""
    query: str = ""

    @property
    def is_judgeable(self) -> bool:
        """Return whether the path names one thing to whoever reads it.

        Empty, ``.`` and ``..`` segments, backslashes and NUL mean one thing to a proxy and another
        to what stands behind it.
        """
        segments = self.path.split("/")
        inner = segments[1:-1]
        return (
            segments[0] == ""
            and len(segments) > 1
            and "" not in inner
            and not {".", ".."} & set(segments)
            and not {"\\", "\0"} & set(self.path)
        )


def read(environ: Mapping[str, object]) -> Original | None:
    """Return what the headers of a WSGI environment tell; None when they disagree."""
    methods, uris = _told(environ, _METHODS), _told(environ, _URIS)
    if len(methods) > 1 or len(uris) > 1:
        return None
    return of_uri(next(iter(methods), ""), next(iter(uris), ""))


def of_uri(method: str, uri: str) -> Original:
    """Return the request for a URI of its first line (RFC 9112 §3.2.1)."""
    path, _, query = uri.partition("#")[0].partition("?")
    return Original(method.upper(), _cut(unquote(path, errors="surrogateescape")), query)


def _told(environ: Mapping[str, object], names: tuple[str, ...]) -> set[str]:
    return {str(environ[name]).strip() for name in names if name in environ}


def _cut(path: str) -> str:
    return path.partition("?")[0].partition("#")[0]
