"""Plain answers: an answer of introspection as JSON, and the headers that go with it.

Flask's way to an answer and the fast one in front of it (``oauth.fastpath``) send what is made
here, so that nobody can tell which of them it was.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, Final

from tokensrv.config import Settings
from tokensrv.domain.introspection import Answer

MEDIA_TYPE: Final = "application/json"
_INACTIVE: Final = b'{"active":false}\n'


def body(answer: Answer) -> bytes:
    """Return the answer as JSON, its members in their order.

    It is what a library writes, in a tenth of the time: every question ends here.
    """
    if not answer["active"]:
        return _INACTIVE
    client_id = f'"client_id":{_quoted(answer["client_id"])},' if "client_id" in answer else ""
    exp, lasts = "", ""
    if "exp" in answer:
        exp, lasts = f'"exp":{answer["exp"]},', f',"expires_in":{answer["expires_in"]}'
    aud = f'"aud":{_json(answer["aud"])},' if "aud" in answer else ""
    act = f',"act":{_json(answer["act"])}' if "act" in answer else ""
    return (
        f'{{"active":true,"scope":{_quoted(answer["scope"])},{client_id}'
        f'"username":{_quoted(answer["username"])},"token_type":"{answer["token_type"]}",{exp}'
        f'"iat":{answer["iat"]},"nbf":{answer["nbf"]},"sub":"{answer["sub"]}",{aud}'
        f'"iss":{_quoted(answer["iss"])},"jti":"{answer["jti"]}"{lasts}{act}}}\n'
    ).encode()


def headers(
    answer: Answer, settings: Settings, *, media_type: str = MEDIA_TYPE
) -> list[tuple[str, str]]:
    """Return the headers of an answer: its type, and for how long it may be kept."""
    keep = ("X-Accel-Expires", str(_keep_seconds(answer, settings)))
    return [("Content-Type", media_type), ("Vary", "Accept"), keep]


def _keep_seconds(answer: Answer, settings: Settings) -> int:
    """Return for how many seconds a proxy may keep the answer.

    None at all unless the instance gives up, by its setting, that a revocation counts at once;
    and never an answer whose every use goes on record.
    """
    if settings.soft_exp_seconds is None or not answer["active"] or "act" in answer:
        return 0
    return int(answer["expires_in"])


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
