"""Throttle: how often a credential may fail before nobody may try it for a while.

It owns the counts, which all processes and nodes share, and says nothing of what a credential is:
every door that takes one draws from the same budgets, under the account that is meant, however it
was written. Nobody can lock somebody else out with it: failures count against an account and the
network that they come from. Only for codes, which nobody gets to without the password, is there a
total as well, and not from where the account is signed in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

from sqlalchemy import bindparam, delete, select, text, update
from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.db import Moment, Store
from tokensrv.models import Attempt
from tokensrv.services.account.sessions import list_of


@dataclass(frozen=True, slots=True)
class Limit:
    """So many failures in so much time, from the first one on."""

    name: str
    count: int
    window: timedelta
    # Whether a success makes all failures good, or only takes its own attempt back.
    is_cleared: bool = False


_QUARTER: Final = timedelta(minutes=15)
PASSWORD: Final = Limit("password", 10, _QUARTER, is_cleared=True)
CODE: Final = Limit("code", 10, _QUARTER, is_cleared=True)
# Many people may share a network, and only their failures count.
NETWORK: Final = Limit("network", 50, _QUARTER)
# Nobody guesses a token, but whoever tries is told to stop. A good one always opens.
TOKEN: Final = Limit("token", 50, _QUARTER)
# Three codes of a million are right at a time: years of this find none.
CODES: Final = Limit("codes", 50, timedelta(days=1))

_SWEPT_AT_A_TIME: Final = 20
_DRAW: Final = text(
    """INSERT INTO attempt (key, count, ends_at) VALUES (:key, 1, :ends_at)
    ON CONFLICT (key) DO UPDATE SET
        count = CASE WHEN attempt.ends_at <= :now THEN 1 ELSE attempt.count + 1 END,
        ends_at = CASE WHEN attempt.ends_at <= :now THEN excluded.ends_at ELSE attempt.ends_at END
    WHERE attempt.ends_at <= :now OR attempt.count < :most
    RETURNING count
    """
).bindparams(bindparam("ends_at", type_=Moment), bindparam("now", type_=Moment))


@dataclass(frozen=True, slots=True)
class Budget:
    """What an attempt draws from: a limit, and the digest of what it counts for."""

    limit: Limit
    key: bytes


@dataclass(frozen=True, slots=True)
class TooMany:
    """Nothing was looked at: there were too many failures, for so many more seconds."""

    seconds: int


def for_password(account: str, ip: str | None) -> tuple[Budget, ...]:
    """Return what an attempt at a password draws from; ``account`` is ``account_of`` somebody."""
    where = network(ip)
    return (_budget(PASSWORD, account, where), _budget(NETWORK, where))


def for_token(ip: str | None) -> tuple[Budget, ...]:
    """Return what an attempt with a token that nobody knows draws from."""
    return (_budget(TOKEN, network(ip)),)


def for_code(store: Store, user_id: int, ip: str | None) -> tuple[Budget, ...]:
    """Return what an attempt at a second factor's code draws from; raises StorageUnavailable."""
    where, account = network(ip), account_of(user_id)
    here = _budget(CODE, account, where)
    # Where sessions began, not where they were seen: a stolen cookie makes no home.
    is_at_home = where in {network(session.opened_ip) for session in list_of(store, user_id)}
    return (here,) if is_at_home else (here, _budget(CODES, account))


def account_of(user: int | str) -> str:
    """Return the name of an account here: of a user by his id, of nobody by what was typed."""
    return f"id {user}" if isinstance(user, int) else f"name {user}"


def take(store: Store, budgets: Sequence[Budget]) -> TooMany | None:
    """Draw one attempt, before its credential is looked at; those at once count as well.

    A refused attempt writes nothing. Raises StorageUnavailable: what cannot be counted must not be
    tried.
    """
    if not store.settings.throttle:
        return None
    now = utcnow(store.clock)
    with store.read() as session:
        # A flood that is refused must not keep others from writing.
        if (spent := _spent(session, budgets, now)) is not None:
            return spent
    with store.write() as session:
        if all(_draw(session, budget, now) for budget in _in_order(budgets)):
            _sweep(session, now)
            return None
        session.rollback()
        return _spent(session, budgets, now) or TooMany(1)


def forgive(session: Session, budgets: Sequence[Budget]) -> None:
    """Give an attempt back whose credential was right, within a transaction."""
    for budget in _in_order(budgets):
        is_it = Attempt.key == budget.key
        if budget.limit.is_cleared:
            session.execute(delete(Attempt).where(is_it))
        else:
            one_less = update(Attempt).where(is_it, Attempt.count > 0)
            session.execute(one_less.values(count=Attempt.count - 1))


def forget_codes(session: Session, user_id: int) -> None:
    """Forget the total of an account within a transaction: its password is another one now."""
    budget = _budget(CODES, account_of(user_id))
    session.execute(delete(Attempt).where(Attempt.key == budget.key))


def network(ip: str | None) -> str:
    """Return the network that counts as one: an IPv4 address, the /64 of an IPv6 address."""
    try:
        address = ip_address(ip or "")
    except ValueError:
        return ip or ""
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address), 64), strict=False))


def _budget(limit: Limit, *whose: str) -> Budget:
    words = "\0".join((limit.name, *whose))
    # Anything may be typed where a name belongs, even what UTF-8 has no form of.
    return Budget(limit, hashlib.sha256(words.encode(errors="surrogatepass")).digest())


def _in_order(budgets: Iterable[Budget]) -> list[Budget]:
    # Whoever locks several rows locks them in the same order as everybody else.
    return sorted(budgets, key=lambda budget: budget.key)


def _draw(session: Session, budget: Budget, now: datetime) -> bool:
    values = {
        "key": budget.key,
        "now": now,
        "ends_at": now + budget.limit.window,
        "most": budget.limit.count,
    }
    return session.execute(_DRAW, values).first() is not None


def _spent(session: Session, budgets: Sequence[Budget], now: datetime) -> TooMany | None:
    most = {budget.key: budget.limit.count for budget in budgets}
    query = select(Attempt).where(Attempt.key.in_(most), Attempt.ends_at > now)
    ends = [row.ends_at for row in session.scalars(query) if row.count >= most[row.key]]
    return TooMany(-(-(max(ends) - now) // timedelta(seconds=1))) if ends else None


def _sweep(session: Session, now: datetime) -> None:
    """Remove some counts that are over: more than an attempt adds, so that they never pile up."""
    over = select(Attempt.key).where(Attempt.ends_at <= now).order_by(Attempt.ends_at)
    some = over.limit(_SWEPT_AT_A_TIME).with_for_update(skip_locked=True)
    # Found first: within the deletion, PostgreSQL may find as many anew for each row.
    if found := session.scalars(some).all():
        session.execute(delete(Attempt).where(Attempt.key.in_(found)))
