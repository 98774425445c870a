"""Filters of the inventory, as its address says them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict

from tokensrv.clock import midnight, today
from tokensrv.db import Store
from tokensrv.domain import scopes
from tokensrv.domain.facts import TokenKind
from tokensrv.domain.texts import is_storable
from tokensrv.services.directory import users
from tokensrv.services.lifecycle.token_lists import TokenFilter
from tokensrv.services.reports.token_statistics import soon
from tokensrv.web.forms import Form

_KINDS: Final = {kind.value: kind for kind in TokenKind}
_USES: Final = {"never": False, "used": True}
DAYS: Final = tuple(
    f"{what}_{side}" for what in ("created", "last_used", "expires") for side in ("after", "before")
)
# All that can be asked for, and what is asked for where nothing is given.
_NAMES: Final = ("search", "owner", "kind", "state", "scope", "used", *DAYS)
_DEFAULTS: Final = {"state": "active"}
_DAY: Final = timedelta(days=1)

_Choice = TypeVar("_Choice")


def form_of(address: MultiDict[str, str]) -> Form:
    """Return the filters of an address; without a state those that are active are wanted."""
    return Form(address, defaults=_DEFAULTS)


def given(asked: Form) -> dict[str, str]:
    """Return what is asked for beyond that, by the names of the fields."""
    texts = {name: asked.text(name) for name in _NAMES}
    return {name: text for name, text in texts.items() if text != _DEFAULTS.get(name, "")}


def query_of(address: MultiDict[str, str]) -> str:
    """Return the filters of an address as another one takes them over."""
    return urlencode(list(address.items(multi=True)))


def read(store: Store, asked: Form) -> TokenFilter:
    """Return the filter that is asked for; what makes no sense becomes an error of its field.

    It is never left out: whoever revokes what is listed must not be shown more than he wanted.
    """
    known = scopes.available(store.settings.extra_scopes)
    wanted: dict[str, Any] = {
        "user_id": _owner(store, asked),
        "kind": _choice(asked, "kind", _KINDS),
        "scope": _choice(asked, "scope", dict(zip(known, known, strict=True))),
        "is_used": _choice(asked, "used", _USES),
        "search": _search(asked),
    }
    wanted |= _choice(asked, "state", _states(today(store.clock))) or {}
    wanted |= {name: day for name in DAYS if (day := _day(asked, name)) is not None}
    return TokenFilter(**wanted)


def _choice(asked: Form, name: str, choices: Mapping[str, _Choice]) -> _Choice | None:
    """Return what the word of a field means, None when none is given."""
    word = asked.text(name)
    if word and word not in choices:
        asked.refuse(name, "There is no such choice.")
    return choices.get(word)


def _owner(store: Store, asked: Form) -> int | None:
    name = asked.text("owner")
    if not name:
        return None
    owner = users.find(store, name) if is_storable(name) else None
    if owner is None:
        asked.refuse("owner", "There is no such user.")
        return None
    return owner.id


def _search(asked: Form) -> str:
    text = asked.text("search")
    if not is_storable(text):
        asked.refuse("search", "Nothing can be called so.")
    return text


def _states(day: date) -> dict[str, dict[str, Any]]:
    return {
        "active": {"is_active": True},
        "expiring": {
            "is_revoked": False,
            "expires_after": day + _DAY,
            "expires_before": soon(day),
        },
        "inactive": {"is_active": False},
        "expired": {"is_revoked": False, "is_expired": True},
        "revoked": {"is_revoked": True},
    }


def _day(asked: Form, name: str) -> date | datetime | None:
    day = asked.day(name)
    return day if day is None or name.startswith("expires") else midnight(day)
