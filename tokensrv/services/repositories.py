"""Repositories: the rules that say who may use which, made, removed and asked.

What the scopes of somebody's token allow is not decided here; whoever is let in must hold both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.domain.repositories import EVERYTHING, Access, above
from tokensrv.domain.repositories import prefix as read_prefix
from tokensrv.errors import Invalid, NotFound
from tokensrv.models import RepositoryRule
from tokensrv.services.authority import confirm, refuse_sudo, require_admin
from tokensrv.services.pages import Order, Page, PageRequest, fetch
from tokensrv.services.trail.events import NewEvent, Origin, append


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRecord:
    """A rule as it may be shown; no user: he is deleted, so that it allows nobody anything."""

    id: int
    # As people write it: ``/`` is everything.
    prefix: str
    user_id: int | None
    username: str | None
    access: str
    created_at: datetime


def allows(store: Store, user_id: int, repository: str, *, writes: bool) -> bool:
    """Return whether the rules let a user read, or write, the repository of this path.

    As they are now; without any rule everybody may. Raises StorageUnavailable.
    """
    enough = (Access.WRITE,) if writes else (Access.READ, Access.WRITE)
    his = exists().where(
        RepositoryRule.user_id == user_id,
        RepositoryRule.prefix.in_(above(repository)),
        RepositoryRule.access.in_(enough),
    )
    with store.read() as session:
        has_rules, is_his = session.execute(select(exists(select(RepositoryRule.id)), his)).one()
    return bool(is_his) or not has_rules


def add(store: Store, origin: Origin, *, prefix: str, user_id: int, access: str) -> RuleRecord:
    """Make a rule; the one that this user has for this prefix gets the new access instead.

    It gives a right that outlives the request. Raises Forbidden, Invalid, NotFound, Refused.
    """
    refuse_sudo(origin)
    about = {"prefix": read_prefix(prefix), "user_id": user_id}
    granted = _access(access)
    with store.write() as session:
        locked = confirm(session, store, origin, users=[user_id])
        require_admin(locked)
        locked.user(user_id)
        rule = session.scalars(select(RepositoryRule).filter_by(**about).with_for_update()).first()
        if rule is None:
            rule = RepositoryRule(**about, created_at=utcnow(store.clock))
            session.add(rule)
        elif rule.access == granted:
            return _record(rule)
        rule.access = granted
        return _recorded(session, store, origin, "repository_rule.added", rule)


def remove(store: Store, origin: Origin, rule_id: int) -> RuleRecord:
    """Remove a rule and return it; without any rule everybody may use every repository again.

    So it is nothing for sudo either. Raises Forbidden, NotFound, Refused.
    """
    refuse_sudo(origin)
    with store.write() as session:
        require_admin(confirm(session, store, origin))
        rule = _get(session, rule_id, is_locked=True)
        session.delete(rule)
        return _recorded(session, store, origin, "repository_rule.removed", rule)


def get(store: Store, rule_id: int) -> RuleRecord:
    """Return a rule; raises NotFound."""
    with store.read() as session:
        return _record(_get(session, rule_id))


def count(store: Store) -> int:
    """Return how many rules there are; those of deleted users count."""
    with store.read() as session:
        return session.scalar(select(func.count(RepositoryRule.id))) or 0


def list_rules(store: Store, *, user_id: int | None = None) -> list[RuleRecord]:
    """Return all rules, or those of a user, the oldest first."""
    query = select(RepositoryRule).order_by(RepositoryRule.id)
    if user_id is not None:
        query = query.where(RepositoryRule.user_id == user_id)
    with store.read() as session:
        return [_record(rule) for rule in session.scalars(query)]


def list_page(store: Store, page: PageRequest) -> Page[RuleRecord]:
    """Return one page of the rules, the oldest first."""
    with store.read() as session:
        return fetch(session, select(RepositoryRule), Order(RepositoryRule.id), page, _record)


def _access(text: str) -> str:
    if text not in set(Access):
        raise Invalid("access", "does not have a valid value")
    return text


def _get(session: Session, rule_id: int, *, is_locked: bool = False) -> RepositoryRule:
    rule = session.get(RepositoryRule, rule_id, with_for_update=is_locked or None)
    if rule is None:
        raise NotFound("Rule", rule_id)
    return rule


def _recorded(
    session: Session, store: Store, origin: Origin, action: str, rule: RepositoryRule
) -> RuleRecord:
    """Append the event of a rule, and return the rule as it was when it happened."""
    session.flush()
    record = _record(rule)
    data: dict[str, Any] = {
        "user_id": record.user_id,
        "prefix": record.prefix,
        "access": record.access,
    }
    append(session, store.clock, origin, [NewEvent(action=action, data=data)])
    return record


def _record(rule: RepositoryRule) -> RuleRecord:
    return RuleRecord(
        id=rule.id,
        prefix=rule.prefix or EVERYTHING,
        user_id=rule.user_id,
        username=rule.username,
        access=rule.access,
        created_at=rule.created_at,
    )
