"""Sudo: whether a request asks to act as another user, and as whom.

Presence counts, never truth: a sudo that is there but cannot be read is ``InvalidSudo``, never
nothing, for a request whose sudo was overlooked would run with the admin's own power. Servers
hand over odd headers differently (two of them joined by a comma, other letters than ASCII as
mojibake or as nothing), so whatever could be the ruin of a name is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from tokensrv.domain.caller import InvalidSudo, SudoAsk
from tokensrv.domain.texts import is_storable
from tokensrv.domain.usernames import key, target


def read(
    header: str | None,
    parameter: Sequence[object],
    reason_header: str | None = None,
    reason_parameter: Sequence[object] = (),
) -> SudoAsk | InvalidSudo | None:
    """Return who is asked for, None when sudo is not present at all.

    ``header`` and ``reason_header`` are ``Sudo`` and ``Sudo-Reason``, None when they are not
    there; ``parameter`` and ``reason_parameter`` are all values of ``sudo`` and ``sudo_reason``.
    A JSON string or integer names a user, nothing else.
    """
    if header is None and not parameter:
        return None
    try:
        text = _agreed([_name(value) for value in _given(header, parameter)])
        return SudoAsk(target(text), _reason(reason_header, reason_parameter))
    except ValueError:
        return InvalidSudo()


def _given(header: str | None, parameter: Sequence[object]) -> list[object]:
    if len(parameter) > 1:
        raise ValueError("given twice")
    # Servers differ in whether they trim a header; a parameter is taken as it is.
    return [*parameter, *([] if header is None else [header.strip()])]


def _name(value: object) -> str:
    # A bool is an int in Python, but not in JSON.
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError("no name")
    if "," in value or "\0" in value or not value.isascii():
        raise ValueError("undecodable, or two names in one")
    return value


def _agreed(names: Sequence[str]) -> str:
    if len({key(name) for name in names}) > 1:
        raise ValueError("header and parameter disagree")
    return names[0]


def _reason(header: str | None, parameter: Sequence[object]) -> str | None:
    """Return the reason, None for a blank parameter or none; a blank header is a blank reason."""
    if any(value is not None and not isinstance(value, str) for value in parameter):
        raise ValueError("no text")
    if len(parameter) > 1:
        raise ValueError("given twice")
    if header is not None and not header.strip():
        # Some servers hand over a header with other letters than ASCII as nothing. A reason that
        # was given must not vanish, so this one is too short, not absent.
        return ""
    # WSGI hands over the bytes of a header as Latin-1; whoever writes more than ASCII sends UTF-8.
    sent = "" if header is None else header.encode("latin-1").decode()
    reasons = {text for value in (sent, *parameter) if (text := str(value or "").strip())}
    if len(reasons) > 1 or not all(map(is_storable, reasons)):
        raise ValueError("two reasons, or an unreadable one")
    return next(iter(reasons), None)
