"""Pagination: the headers that say where else in a list one can go (contract of GitLab's API).

Links begin with the external URL, never with what the Host header says, repeat the query without
any credential, and hold no raw comma, since some clients split the header at commas.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from flask import request

from tokensrv.clock import from_ms, to_ms
from tokensrv.domain.secret import masked
from tokensrv.domain.texts import is_storable
from tokensrv.http import context
from tokensrv.http.answers import error, invalid
from tokensrv.http.parse import form
from tokensrv.services.pages import Key, Page, PageRequest

_NOT_REPEATED: Final = frozenset({b"private_token", b"access_token", b"bearer_token"})
_MOMENTS: Final = frozenset({"created_at", "updated_at"})
_MAX_ID: Final = 2**63 - 1
# Further away a page costs more than a client should ask for.
_MAX_OFFSET: Final = 50_000


def check_offset(page: PageRequest, kind: str, *, has_keyset: bool = False) -> None:
    """Raise ApiError (405) for a page that is too far away in a list of this kind of object.

    ``has_keyset``: it can be listed by key as well, which has no end.
    """
    if page.offset <= _MAX_OFFSET:
        return
    text = (
        f"Offset pagination has a maximum allowed offset of {_MAX_OFFSET} for requests that"
        f" return objects of type {kind}."
    )
    more = " Remaining records can be retrieved using keyset pagination."
    raise error(405, text + more if has_keyset else text)


def headers(page: Page[Any]) -> dict[str, str]:
    """Return the headers of a page; totals only where they were counted."""
    last = None if page.total is None else max(1, -(-page.total // page.per_page))
    # Before a page that is beyond the end there is no page to go back to.
    previous = page.page - 1 if page.page > 1 and page.items else None
    following = page.page + 1 if page.has_next else None
    links = {"prev": previous, "next": following, "first": 1, "last": last}
    found = {
        "Link": ", ".join(
            _link(rel, page=number, per_page=page.per_page)
            for rel, number in links.items()
            if number is not None
        ),
        "X-Next-Page": _number(following),
        "X-Page": str(page.page),
        "X-Per-Page": str(page.per_page),
        "X-Prev-Page": _number(previous),
    }
    if last is not None:
        found |= {"X-Total": str(page.total), "X-Total-Pages": str(last)}
    return found


def keyset_headers(following: Key | None, per_page: int) -> dict[str, str]:
    """Return the header of a keyset page: the next one, if there is one."""
    if following is None:
        return {}
    return {"Link": _link("next", cursor=_cursor(following), per_page=per_page)}


def read_cursor(cursor: str | None, order_by: str) -> Key | None:
    """Return where a keyset page begins, None for the first one; raises ApiError (400)."""
    if cursor is None:
        return None
    try:
        value, user_id = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
        return Key(_key_value(value, order_by), _id(user_id))
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise invalid("cursor is invalid") from None


def _key_value(value: Any, order_by: str) -> Any:
    if order_by == "id":
        return _id(value)
    if order_by in _MOMENTS:
        return from_ms(_id(value))
    if not isinstance(value, str) or not is_storable(value):
        raise ValueError("no text")
    return value


def _id(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_ID:
        raise ValueError("no id")
    return value


def _cursor(key: Key) -> str:
    value = to_ms(key.value) if isinstance(key.value, datetime) else key.value
    return base64.urlsafe_b64encode(json.dumps([value, key.id]).encode()).decode()


def _number(page: int | None) -> str:
    return "" if page is None else str(page)


def _link(rel: str, **changed: int | str) -> str:
    replaced = _NOT_REPEATED | {name.encode() for name in changed}
    kept = [
        # A secret under a name that nobody knows must not come back either.
        (name, masked(value.decode("latin-1")).encode("latin-1"))
        for name, value in form.pairs(request.query_string)
        if name.partition(b"[")[0] not in replaced
    ]
    query = urlencode([*kept, *changed.items()])
    return f'<{context.settings().external_url}{quote(request.path)}?{query}>; rel="{rel}"'
