"""Original: what somebody asks of the service behind a proxy, as the proxy tells it.

Pure functions. nginx tells it by ``X-Original-*``, Traefik and Caddy by ``X-Forwarded-*``; a header
that the proxy does not set can come from anybody, so that two styles that differ tell nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from tokensrv.domain.secret import masked
from tokensrv.domain.texts import is_storable

_STYLES: Final = (
    ("HTTP_X_ORIGINAL_METHOD", "HTTP_X_ORIGINAL_URI"),
    ("HTTP_X_FORWARDED_METHOD", "HTTP_X_FORWARDED_URI"),
)


class Original(NamedTuple):
    """A request: method and path are empty where nobody told them.

    The path is percent-decoded and ends before the first ``?`` or ``#``, also before one that was
    encoded; ``query`` is as it was written. ``is_cut``: what stands behind may see more of a path.
    """

    method: str = ""
    path: str = ""
    query: str = ""
    is_cut: bool = False

    @property
    def is_judgeable(self) -> bool:
        """Return whether the path names one thing to whoever reads it.

        Empty, ``.`` and ``..`` segments, also with parameters (``..;a``), backslashes, NUL, what is
        no UTF-8 and what was cut off mean one thing to a proxy and another to what stands behind
        it.
        """
        segments = self.without_parameters().path.split("/")
        return (
            segments[0] == ""
            and len(segments) > 1
            and "" not in segments[1:-1]
            and {".", ".."}.isdisjoint(segments)
            and "\\" not in self.path
            and is_storable(self.path)
            and not self.is_cut
        )

    def without_parameters(self) -> Original:
        """Return the request as servlets see it, to whom ``/a;b/c`` is ``/a/c`` (RFC 3986 §3.3)."""
        if ";" not in self.path:
            return self
        segments = (segment.partition(";")[0] for segment in self.path.split("/"))
        return self._replace(path="/".join(segments))


def read(environ: Mapping[str, object]) -> Original | None:
    """Return what the headers of a WSGI environment tell; None when they disagree.

    Half of a request in one style is never completed by the other one, which may be anybody's. A
    blank header is one: some servers hand over what they cannot read as nothing.
    """
    found = {
        _told(environ, style) for style in _STYLES if any(header in environ for header in style)
    }
    if len(found) > 1:
        return None
    return of_uri(*found.pop()) if found else Original()


def of_uri(method: str, uri: str) -> Original:
    """Return the request for a URI of its first line (RFC 9112 §3.2.1)."""
    path, _, query = uri.partition("#")[0].partition("?")
    # WSGI hands over the bytes of a header as Latin-1. What is none came from no server.
    decoded = unquote_to_bytes(path.encode("latin-1", "backslashreplace"))
    found = of_path(method, decoded.decode("latin-1"))
    return found._replace(query=query, is_cut=found.is_cut or "#" in uri)


def of_path(method: str, path: str) -> Original:
    """Return the request for a path that is decoded already, as the bytes of ``PATH_INFO`` are."""
    whole = path.encode("latin-1", "backslashreplace").decode(errors="surrogateescape")
    cut = whole.partition("?")[0].partition("#")[0]
    # Masked first: a secret in other letters looks like none, and a method is written down.
    return Original(masked(method).upper(), cut, is_cut=cut != whole)


def _told(environ: Mapping[str, object], style: tuple[str, str]) -> tuple[str, str]:
    method, uri = (str(environ.get(name, "")).strip() for name in style)
    return method, uri
