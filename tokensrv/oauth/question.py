"""Questions: what a client asks about tokens, read from its form or from its JSON.

Pure functions: the tokens themselves and who asks are read elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tokensrv.domain import networks
from tokensrv.domain.introspection import PLAIN, Question
from tokensrv.http.answers import error
from tokensrv.http.parse import sudo
from tokensrv.http.parse.form import Form

# Parameters that are about the token and the client only.
_ASK_NOTHING: Final = frozenset({"token", "token_type_hint", "client_id", "client_secret"})


def read(form: Form, *, sudo_header: str | None, reason_header: str | None) -> Question:
    """Return what is asked; a sudo counts in the form and in the header alike."""
    if sudo_header is None and form.values.keys() <= _ASK_NOTHING:
        return PLAIN
    named = [*form.all("sudo"), *_nested(form, "sudo")]
    reasons = [*form.all("sudo_reason"), *_nested(form, "sudo_reason")]
    return Question(
        ask=sudo.read(sudo_header, named, reason_header, reasons),
        scopes=tuple((form.get("scope") or "").split()),
        remote_ip=networks.spelling(form.get("remote_ip")),
    )


def read_members(members: Mapping[str, Any]) -> Question:
    """Return what the members of a JSON object ask; there, too, a sudo that is no name counts.

    Raises ApiError (400) for scopes or an address that are no text.
    """
    return Question(
        ask=sudo.read(None, _given(members, "sudo"), None, _given(members, "sudo_reason")),
        scopes=tuple((text(members, "scope") or "").split()),
        remote_ip=networks.spelling(text(members, "remote_ip")),
    )


def text(members: Mapping[str, Any], name: str) -> str | None:
    """Return the text of a member, None when it is not there; raises ApiError (400)."""
    if name not in members:
        return None
    value = members[name]
    if not isinstance(value, str):
        raise error(400, f"{name} must be a string")
    return value


def _given(members: Mapping[str, Any], name: str) -> tuple[Any, ...]:
    return (members[name],) if name in members else ()


def _nested(form: Form, name: str) -> list[object]:
    """Return a value that cannot be read for each ``sudo[]=x``, so that it is not overlooked."""
    return [{} for written in form.values if written.startswith(f"{name}[")]
