"""Proof: whether a password is somebody's, asked by whatever takes one.

It owns what an attempt costs and in which order things are asked, so that no door is a cheaper
place to guess at, and nothing tells whether an account exists: not the answer, not its time.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from tokensrv.db import Store
from tokensrv.domain.texts import is_storable
from tokensrv.domain.usernames import key
from tokensrv.models import User
from tokensrv.services.account import throttle
from tokensrv.services.account.throttle import Budget, TooMany
from tokensrv.services.directory import passwords

_log = logging.getLogger("tokensrv.account")


class Reason(StrEnum):
    """Why somebody was not let on."""

    # The credential is not right, or nobody has this name.
    WRONG = "wrong"
    # The credential is right, but its user may not sign in.
    INACTIVE = "inactive"
    TOO_MANY = "too_many"
    # A second factor must be proven first, it was too long ago.
    SECOND_FACTOR = "second_factor"


@dataclass(frozen=True, slots=True)
class Denied:
    """An expected no; ``retry_after_seconds`` is 0 unless there were too many attempts."""

    reason: Reason
    retry_after_seconds: int = 0

    @classmethod
    def by(cls, spent: TooMany) -> Denied:
        """Return the no of a budget that is spent."""
        return cls(Reason.TOO_MANY, spent.seconds)


@dataclass(frozen=True, slots=True)
class Proof:
    """A password was right, outside of any transaction: ``accept`` says whether it still is."""

    user_id: int
    stored: str = field(repr=False)
    # What to store from now on; None: the same.
    renewed: str | None = field(repr=False)
    budgets: tuple[Budget, ...]


def of_login(store: Store, login: str, password: str, ip: str | None) -> Proof | Denied:
    """Return whether this is the password of whom a username or an e-mail address names."""
    name = key(login.strip())
    found = _find(store, (User.email_key if "@" in name else User.username_key) == name, name)
    account = throttle.account_of(name if found is None else found[0])
    return _of(store, found, account, password, ip)


def of_user(store: Store, user_id: int, password: str, ip: str | None) -> Proof | Denied:
    """Return whether this is the password of a user who is known already."""
    found = _find(store, User.id == user_id)
    return _of(store, found, throttle.account_of(user_id), password, ip)


def logged(denied: Denied, user_id: int | None, *, what: str = "password") -> Denied:
    """Return the no of a credential, now that the log tells of it."""
    # Never what was typed: people type passwords where a name belongs.
    _log.warning("%s.denied", what, extra={"reason": denied.reason.value, "user_id": user_id})
    return denied


def accept(session: Session, user: User | None, proof: Proof) -> bool:
    """Return whether the proof still holds of its user, locked, and make good what it had cost."""
    if user is None or user.password_hash != proof.stored:
        return False
    if proof.renewed is not None:
        user.password_hash = proof.renewed
    throttle.forgive(session, proof.budgets)
    return True


def _find(
    store: Store, is_it: ColumnElement[bool], name: str = ""
) -> tuple[int, str | None] | None:
    if not is_storable(name):
        return None
    with store.read() as session:
        row = session.execute(select(User.id, User.password_hash).where(is_it)).first()
    return None if row is None else (row.id, row.password_hash)


def _of(
    store: Store,
    found: tuple[int, str | None] | None,
    account: str,
    password: str,
    ip: str | None,
) -> Proof | Denied:
    budgets = throttle.for_password(account, ip)
    user_id, stored = (None, None) if found is None else found
    if (spent := throttle.take(store, budgets)) is not None:
        return logged(Denied.by(spent), user_id)
    if not passwords.verify(stored, password) or stored is None or user_id is None:
        return logged(Denied(Reason.WRONG), user_id)
    return Proof(user_id, stored, passwords.renewed(stored, password), budgets)
