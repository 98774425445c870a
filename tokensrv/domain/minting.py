"""Minting: which scopes and which expiry a new token may have.

Pure rules; the services apply them inside their transactions. The last day of a lifetime is
allowed, and a token dies at 00:00 UTC of its day.
"""

from __future__ import annotations

from datetime import date, timedelta

from tokensrv.domain.scopes import ADMIN_ONLY, missing
from tokensrv.errors import Invalid, LifetimeExceeded, ScopesNotHeld

ROTATED_LIFETIME_DAYS = 7

_NO_VALID_VALUE = "does not have a valid value"


def check_scopes(
    wanted: tuple[str, ...], *, available: tuple[str, ...], owner_is_admin: bool
) -> None:
    """Raise Invalid unless every scope exists and the owner may hold it."""
    if not wanted:
        raise Invalid("scopes", "is missing")
    if any(scope not in available for scope in wanted):
        raise Invalid("scopes", _NO_VALID_VALUE)
    if not owner_is_admin and ADMIN_ONLY.intersection(wanted):
        raise Invalid("scopes", _NO_VALID_VALUE)


def check_held_by_admin(wanted: tuple[str, ...], held: tuple[str, ...]) -> None:
    """Raise ScopesNotHeld when an admin gives away an admin's scope that his token lacks."""
    _refuse(missing([scope for scope in wanted if scope in ADMIN_ONLY], held))


def check_held_by_self(wanted: tuple[str, ...], held: tuple[str, ...]) -> None:
    """Raise when a user's token would make another one of his that can do more.

    Raises Invalid for the admins' scopes, which nobody gives to himself over the API.
    """
    if ADMIN_ONLY.intersection(wanted):
        raise Invalid("scopes", _NO_VALID_VALUE)
    check_held(wanted, held)


def check_held(wanted: tuple[str, ...], held: tuple[str, ...]) -> None:
    """Raise ScopesNotHeld unless ``held`` covers every scope of ``wanted``."""
    _refuse(missing(wanted, held))


def _refuse(lacking: tuple[str, ...]) -> None:
    if lacking:
        raise ScopesNotHeld(lacking)


def last_day(today: date, *, max_lifetime_days: int, cap: date | None = None) -> date:
    """Return the last allowed expiry day; ``cap``: the calling token's own, if it has one."""
    limit = today + timedelta(days=max_lifetime_days)
    return limit if cap is None else min(limit, cap)


def check_expiry(wanted: date, today: date, last: date) -> None:
    """Raise Invalid for a day up to and including today, LifetimeExceeded for one too late."""
    if wanted <= today:
        raise Invalid("expires_at")
    if wanted > last:
        raise LifetimeExceeded(last)


def new_expiry(
    wanted: date | None, today: date, *, last: date, is_required: bool, cap: date | None = None
) -> date | None:
    """Return the expiry of a new token, None for one without end.

    Without a wish it is the calling token's own (``cap``), or the last allowed day where the
    instance requires one.
    """
    if wanted is not None:
        check_expiry(wanted, today, last)
        return wanted
    if cap is not None:
        return min(cap, last)
    return last if is_required else None


def rotated_expiry(
    wanted: date | None,
    today: date,
    *,
    old: date | None,
    last: date,
    is_required: bool,
    cap: date | None = None,
) -> date | None:
    """Return the expiry of a rotated token, None for one without end.

    Without a wish it is today + 7 days where the old token had an end or the instance requires
    one: rotation never turns an expiring token into one without end.
    """
    if wanted is not None:
        check_expiry(wanted, today, last)
        return wanted
    if old is not None or is_required:
        return min(today + timedelta(days=ROTATED_LIFETIME_DAYS), last)
    return None if cap is None else min(cap, last)
