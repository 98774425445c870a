"""Visits: a request at a gate, read from its WSGI environment as the fast path reads it, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokensrv.config import Settings
from tokensrv.domain.caller import InvalidSudo, SudoAsk
from tokensrv.domain.gates import Entry, Gate
from tokensrv.domain.secret import masked
from tokensrv.gate.original import Original
from tokensrv.http import wsgi
from tokensrv.http.parse import form, sudo
from tokensrv.services.gates.visit import Visit
from tokensrv.services.trail.events import Origin

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# What somebody wrote is kept, but not a book of it.
_LONGEST: Final = 255


def of(
    environ: WSGIEnvironment,
    settings: Settings,
    gate: Gate,
    original: Original,
    *,
    request_id: str,
    scopes: tuple[str, ...] = (),
) -> Visit:
    """Return what the request wants at this gate, with the sudo of its headers."""
    origin = Origin(ip=wsgi.remote_address(environ, settings), request_id=request_id)
    method, path = _storable(original.method), _storable(original.path)
    return Visit(gate, origin, method, path, asked(environ), scopes)


def asked(environ: WSGIEnvironment) -> SudoAsk | InvalidSudo | None:
    """Return the sudo that the headers ask for; a parameter in a URL is of somebody else's."""
    return sudo.read(environ.get("HTTP_SUDO"), (), environ.get("HTTP_SUDO_REASON"), ())


def given(environ: WSGIEnvironment, name: str) -> list[str]:
    """Return the values of a parameter of the URL, in their order.

    Some servers let bytes through that are no UTF-8: they become replacement letters.
    """
    pairs = form.pairs(environ.get("QUERY_STRING", "").encode("latin-1"))
    return [value.decode(errors="replace") for key, value in pairs if key == name.encode()]


def identity(entry: Entry) -> list[tuple[str, str]]:
    """Return the headers that tell a proxy who has entered; the actor only where he is another."""
    caller = entry.caller
    headers = [
        ("X-Auth-User", caller.subject.username),
        ("X-Auth-User-Id", str(caller.subject.id)),
        ("X-Auth-Scopes", " ".join(caller.scopes)),
    ]
    if caller.token is not None:
        headers.append(("X-Auth-Token-Id", str(caller.token.id)))
    if caller.is_sudo:
        headers.append(("X-Auth-Actor", caller.actor.username))
    return headers


def _storable(text: str) -> str:
    # What is for the record alone; no database has a form of a NUL or of half a character.
    found = text.encode(errors="replace").decode().replace("\0", "?")
    # Masked before it is cut: what is left of a secret looks like none.
    return found if len(found) <= _LONGEST else str(masked(found))[:_LONGEST]
