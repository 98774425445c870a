"""Minting over SSH: a token for whoever is there, as GitLab's ``personal_access_token`` makes it.

It is the ordinary verb (``services.lifecycle.minting``) with GitLab's lengths of life. What a key
makes does not outlive the key, and what a token makes does not outlive the token.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Final

from tokensrv.clock import from_ms, today
from tokensrv.db import Store
from tokensrv.domain.caller import Caller, Check, Refused
from tokensrv.domain.gates import Entry, NoEntry, Obstacle
from tokensrv.domain.ssh_commands import NewTokenCommand
from tokensrv.errors import Forbidden, LifetimeExceeded, ScopesNotHeld
from tokensrv.services.gates import turned_away
from tokensrv.services.gates.visit import Visit
from tokensrv.services.keys import ssh_keys
from tokensrv.services.lifecycle import minting
from tokensrv.services.lifecycle.minting import TokenWish
from tokensrv.services.records import NewToken
from tokensrv.services.trail.events import Origin
from tokensrv.services.trail.usage import Usage

DEFAULT_DAYS: Final = 30


def create(
    store: Store,
    usage: Usage,
    visit: Visit,
    entry: Entry,
    command: NewTokenCommand,
    *,
    key_id: int | None = None,
) -> NewToken:
    """Make a token for whoever came; ``key_id``: of the key that he came with, if he did.

    Without a wish it lives 30 days, or as long as it may. Raises Forbidden, LifetimeExceeded,
    ScopesNotHeld, Refused, once that stands in the log; Invalid, StorageUnavailable.
    """
    try:
        return _create(store, visit.origin, entry.caller, command, key_id)
    except Refused as error:
        turned_away.record(store, usage, visit, NoEntry.by(error.refusal))
        raise
    except LifetimeExceeded:
        turned_away.record(store, usage, visit, NoEntry.after(entry, Obstacle.LIFETIME))
        raise
    except Forbidden as error:
        missing = error.missing if isinstance(error, ScopesNotHeld) else ()
        turned_away.record(store, usage, visit, NoEntry.after(entry, Check.WANTED, missing))
        raise


def _create(
    store: Store, origin: Origin, caller: Caller, command: NewTokenCommand, key_id: int | None
) -> NewToken:
    day = today(store.clock)
    last = minting.last_day(store, _own_day(store, caller, key_id))
    if command.days is None:
        ends_on = min(day + timedelta(days=DEFAULT_DAYS), last)
    # A day more, so that a token of no days lives to the end of this one.
    elif (ends_on := day + timedelta(days=command.days + 1)) > last:
        raise LifetimeExceeded(last)
    wish = TokenWish(name=command.name, scopes=command.scopes, expires_on=ends_on)
    # A key holds it, as whoever it belongs to: there is no token that could have lost it.
    needs = None if caller.token is None else "api"
    origin = replace(origin, caller=caller, needs=needs)
    return minting.create_for_self(store, origin, wish, key_id=key_id)


def _own_day(store: Store, caller: Caller, key_id: int | None) -> date | None:
    """Return the day on which the caller's own key or token dies, None for one without end."""
    if key_id is not None:
        found = ssh_keys.find(store, key_id)
        if found is None or not found.is_good:
            raise Forbidden
        return found.key.expires_on
    ends = None if caller.token is None else caller.token.expires_ms
    return None if ends is None else from_ms(ends).date()
